"""The errors of this package."""


class DetectorError(Exception):
    """A request of the user cannot be fulfilled; the message says what failed, the number and what to try.

    * DetectorError
        - UsageError          the command line asks for what does not go together, or for nothing
        - SettingsError     a settings file or key is unknown, of the wrong kind or out of range
        - VerifierError     the chosen verifier cannot start or cannot answer
            - NoLogprobs        a model server gives no probabilities (detector.verify.vlm.openai_chat)
            - ModelLost         the model's process ended or fell silent (detector.verify.vlm.local.process)
                - ModelNotLoaded    it could not load the model
        - OutputError       results cannot be written where they were asked for
        - LabelsError       labels or results to be scored cannot be read
        - NoVideoFound           a folder holds nothing to replay (detector.run.recordings)
    """


class UsageError(DetectorError):
    """The command line contains a contradiction, or asks for nothing: exit code 2."""


class SettingsError(DetectorError):
    """A settings file or key is unknown, of the wrong kind or out of range."""


class VerifierError(DetectorError):
    """The chosen verifier cannot start or cannot answer."""


class OutputError(DetectorError):
    """Results cannot be written where they were asked for."""


class LabelsError(DetectorError):
    """Labels or results to be scored cannot be read."""
