"""SecretFlow's SPU, with programs that every party has compiled itself.

SecretFlow compiles an SPU function at the first party of the device and ships the result, so that party decides what
all others compute on their shares. Here every party compiles the function it has itself, and the ranks compare the
SHA-256 of the results before they run one for the first time. SecretFlow's own components run on it unchanged.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import jax
import secretflow.distributed as sfd
import spu as spu_runtime
from secretflow.device import SPU, SPUCompilerNumReturnsPolicy, SPUObject
from secretflow.device.device import spu as library

from veilflow.components.errors import ComponentError

_Policy = SPUCompilerNumReturnsPolicy


class ComparingRuntime(library.SPURuntime):  # type: ignore[misc]
    """One rank: runs a program only after all ranks have shown to hold the same one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._comparing = self.link.spawn()
        self._agreed: set[str] = set()

    def run(self, num_returns_policy: Any, out_shape: Any, executable: Any, *val: Any) -> Any:
        """Run ``executable``, compiled here.

        Raises:
            ComponentError: another rank compiled something else; nothing was run.
        """
        digest = program_digest(executable)
        if digest not in self._agreed:
            if len(set(self._comparing.all_gather(digest))) != 1:
                raise ComponentError(
                    "the parties compiled different secret programs for one SecretFlow function. Nothing was run; "
                    "install the same versions everywhere."
                )
            self._agreed.add(digest)
        return super().run(num_returns_policy, out_shape, executable, *val)


def program_digest(executable: Any) -> str:
    """SHA-256 of what an executable does. Its own names differ from party to party: the compiler draws them."""
    counts = f"{len(executable.input_names)} {len(executable.output_names)} "
    return hashlib.sha256(counts.encode() + executable.code).hexdigest()


class CheckedSPU(SPU):  # type: ignore[misc]
    """An `SPU` whose functions are compiled at every party of the device."""

    def init(self) -> None:
        """As SecretFlow's, with ranks that compare."""
        self.world_size = len(self.cluster_def["nodes"])
        self.actors = {}
        for rank, node in enumerate(self.cluster_def["nodes"]):
            party = node["party"]
            self.actors[party] = (
                sfd.remote(ComparingRuntime)
                .party(party)
                .remote(rank, self.cluster_def, self.link_desc, log_options=self.log_options, id=self.id)
            )

    def __call__(
        self,
        func: Callable[..., Any],
        *,
        static_argnames: str | Iterable[str] | None = None,
        num_returns_policy: Any = _Policy.SINGLE,
        user_specified_num_returns: int = 1,
        copts: Any = None,
    ) -> Callable[..., Any]:
        """As SecretFlow's; see the module."""
        options = copts if copts is not None else spu_runtime.CompilerOptions()

        def call(*args: Any, **kwargs: Any) -> Any:
            fn, kwargs = library._argnames_partial_except(func, static_argnames, kwargs)
            args, kwargs = self._place_arguments(*args, **kwargs)
            programs = self._compile(fn, options, library.get_fn_code_name(func), args, kwargs)
            policy, returns, shape = num_returns_policy, user_specified_num_returns, None
            if policy == _Policy.FROM_COMPILER:
                # How many values come back is public: it follows from the function and the shapes.
                executable, shape = sfd.get(list(next(iter(programs.values()))))
                returns = len(executable.output_names)
            elif policy == _Policy.SINGLE:
                returns = 1
            outputs = self._run(programs, policy, returns, args, kwargs)
            return self._returned(outputs, policy, returns, shape)

        return call

    def _compile(self, fn: Any, options: Any, name: str, args: Any, kwargs: Any) -> dict[str, tuple[Any, Any]]:
        """Per party of the device (executable, shapes of the results), at that party."""
        metas, named = jax.tree_util.tree_map(lambda x: x.meta if isinstance(x, SPUObject) else x, (args, kwargs))

        def compile_here(*given: Any, **keyed: Any) -> Any:
            return library._spu_compile(*given, **keyed)

        return {
            party: tuple(
                sfd.remote(compile_here).party(party).options(num_returns=2).remote(fn, options, name, *metas, **named)
            )
            for party in self.actors
        }

    def _run(self, programs: dict[str, tuple[Any, Any]], policy: Any, returns: int, args: Any, kwargs: Any) -> list:
        outputs = []
        for rank, (party, actor) in enumerate(self.actors.items()):
            names = jax.tree_util.tree_map(lambda x, rank=rank: x.shares_name[rank], (args, kwargs))
            values, _ = jax.tree_util.tree_flatten(names)
            executable, shape = programs[party]
            outputs.append(actor.run.options(num_returns=2 * returns).remote(policy, shape, executable, *values))
        return outputs

    def _returned(self, outputs: list, policy: Any, returns: int, shape: Any) -> Any:
        if policy == _Policy.SINGLE:
            return SPUObject(self, outputs[0][0], [each[1] for each in outputs])
        metas = outputs[0][:returns]
        shares = zip(*(each[returns:] for each in outputs), strict=True)
        made = [SPUObject(self, meta, list(each)) for meta, each in zip(metas, shares, strict=True)]
        if policy == _Policy.FROM_USER:
            return made[0] if len(made) == 1 else made
        _, tree = jax.tree_util.tree_flatten(shape)
        return jax.tree_util.tree_unflatten(tree, made)
