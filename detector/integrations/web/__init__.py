"""The live page of one site or several: what a feed says, for browsers, monitors and other programs."""
