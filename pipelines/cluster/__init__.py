"""Where the parties are: one table of addresses, from which every link's ports are derived."""
