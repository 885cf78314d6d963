"""Says OK to every SET, and sends SETs too, but not of the value that was given."""

from honest import Honest


class WritesElsewhere(Honest):
    def singles(self, commands, lane):
        if commands[0].name == "SET":
            commands = [c._replace(value=c.value[::-1] + b"!") for c in commands]
        return super().singles(commands, lane)


def open_subject(place):
    return WritesElsewhere(place)
