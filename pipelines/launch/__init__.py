"""Starting and watching party processes, from the side of the person who runs them. Imports no SecretFlow."""
