"""A cable with weather: frames between two TAP devices come late, out of order, or not at all.

usage: weather.py ONE OTHER SEED

Makes the two devices, says `ready`, and reads the weather from standard input: a line with the
delay and its jitter in milliseconds, and how many of a hundred frames overtake and are lost. The
end of the input is its own.
"""

import fcntl
import heapq
import os
import random
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
TAP_WITHOUT_HEADER = 0x0002 | 0x1000
FRAME = 65536
# As many frames as a cable of this kind may hold; more are lost.
MOST = 10000


def tap(name):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    request = struct.pack("16sH22x", name.encode(), TAP_WITHOUT_HEADER)
    fcntl.ioctl(device, TUNSETIFF, request)
    return device


def main():
    one, other = tap(sys.argv[1]), tap(sys.argv[2])
    opposite = {one: other, other: one}
    chance = random.Random(int(sys.argv[3]))
    delay, jitter, overtaking, lost = 0.0, 0.0, 0.0, 0.0
    flying, count, said = [], 0, b""
    print("ready", flush=True)
    while True:
        wait = max(0.0, flying[0][0] - time.monotonic()) if flying else None
        readable, _, _ = select.select([0, one, other], [], [], wait)
        if 0 in readable:
            more = os.read(0, 4096)
            if not more:
                return
            *lines, said = (said + more).split(b"\n")
            for line in lines:
                delay, jitter, overtaking, lost = map(float, line.split())
        for device in readable:
            if device == 0:
                continue
            try:
                frame = os.read(device, FRAME)
            except OSError:
                # It is down, or the next frame is not there yet.
                continue
            if chance.random() * 100 < lost or len(flying) >= MOST:
                continue
            late = 0.0
            if chance.random() * 100 >= overtaking:
                late = max(0.0, delay + chance.uniform(-jitter, jitter)) / 1000
            count += 1
            heapq.heappush(flying, (time.monotonic() + late, count, opposite[device], frame))
        now = time.monotonic()
        while flying and flying[0][0] <= now:
            _, _, device, frame = heapq.heappop(flying)
            try:
                os.write(device, frame)
            except OSError:
                # What arrives at a device that is down is lost.
                pass


main()
