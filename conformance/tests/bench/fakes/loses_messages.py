"""Loses each third message."""

from honest import Honest


class Channel:
    def __init__(self, channel):
        self.channel, self.count = channel, 0

    def publish(self, data):
        self.channel.publish(data)

    def receive(self, seconds):
        self.count += 1
        return self.channel.receive(seconds) if self.count % 3 else None

    def close(self):
        self.channel.close()


class LosesMessages(Honest):
    def channel(self, name):
        return Channel(super().channel(name))


def open_subject(place):
    return LosesMessages(place)
