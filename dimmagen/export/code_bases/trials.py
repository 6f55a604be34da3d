"""What came of trials that several code bases have in common."""

from dataclasses import replace

from dimmagen.export.reader import Trial

NOT_RECORDED = "not recorded"
CLASSES = Trial("yes", "yes", "batches only", "batches only", "data classes")
STAND_INS = Trial("yes", "yes", "batches only", "batches only", "data classes, with stand-ins")
UNPAIRED = replace(STAND_INS, pairs="unpaired")
NETWORK = Trial("yes", "yes", "yes", "yes", "data classes and network")
EARLIER = Trial("yes", "yes", "yes", NOT_RECORDED, "recorded earlier")
