"""The live page of one site or several: the state of feeds for browsers, monitors and other programs."""
