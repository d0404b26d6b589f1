"""The one port of a party process, who is let in there, and the ways out to the other parties' ports."""
