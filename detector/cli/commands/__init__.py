"""The commands, one module each, and their descriptions, which need no import of the modules."""

COMMANDS = {
    "calibrate": "Fit a model's temperature and bias on labelled clips, and print them as settings.",
    "check": "Try each camera: reachable, codec, rate, key frames, clock, image; and draw its mask and region.",
    "completion": "Print what makes a shell complete commands, flags and file names.",
    "doctor": "Say what is installed, what is missing and what to do about it.",
    "history": "List the events that a journal keeps; a publisher may be writing it at the same time.",
    "keys": "Make and manage the keys of a feed: the publisher's, the clients', and who may connect.",
    "mqtt": "Bring a feed to an MQTT broker: each event, and the states of cameras and sites for home automation.",
    "notify": "Tell people of storms, first flashes, lost cameras and full disks: by mail, messenger or webhook.",
    "page": "Serve the live page of one site or several: cameras, flashes as they come, health, metrics.",
    "pull": "Download the model's snapshot into the hub's cache, for runs without network.",
    "relay": "Merge feeds into one: receive several, publish all of it again with numbers and a journal of its own.",
    "replay": "Find the lightning in recorded video: files, or folders of files.",
    "report": "Write a page with the flashes of a run: stills, clips, light curve and what decided each verdict.",
    "schema": "Print the JSON Schema of the events that the feed carries, or of one type's `data`.",
    "score": "Compare results with labels, or with strokes that a network located: recall, splits, F1.",
    "serve-45": "Serve MiniCPM-V 4.5 by its own code, in its own environment, to `--verifier served`.",
    "setup-45": "Make the second environment, in which `serve-45` runs MiniCPM-V 4.5's own code.",
    "share": "Make pictures and films of a run's best flashes: short films, a composite of bolts, a reel.",
    "subscribe": "Receive the events of one or more feeds: in order, each once, through restarts of either side.",
    "tune": "Show a recording's light curve with what was found and the thresholds, and propose settings.",
    "watch": "Watch cameras for lightning and publish every flash on the event feed, until stopped.",
}
"""The description of each command in one line: the first line of its module's docstring."""
