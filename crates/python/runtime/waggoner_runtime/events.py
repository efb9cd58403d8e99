"""Log lines and events on their way to the agent: in order, in batches, never one call per line.

What is added while nothing is on its way is said at once, without waiting for an answer: a process
that is killed right after has said it. A thread hears the answer; what is added meanwhile makes the
next batch. Whoever needs the order kept, as an update of runtime properties does, calls `flush` first.

A plugin's signal handler runs in the main thread, in the middle of anything, and may add and flush
as well. Where there is one, the main thread therefore never sends: it would wait for itself.
"""

import _signal
import atexit
import collections
import datetime
import os
import sys
import threading

from waggoner_runtime import agent

# What one call may carry, and what may wait before the one who logs has to wait as well.
BATCH = 500
BATCH_CHARACTERS = 256 * 1024
WAITING = 10000

# The longest line that travels in one piece.
PIECE = 64 * 1024

LEVELS = ('debug', 'info', 'warning', 'error', 'critical')


class _Events:
    def __init__(self):
        self.queue = collections.deque()
        # Held by whoever sends, until what was sent is answered.
        self.sending = threading.Lock()
        # The lock is held for the thread, which is to hear an answer.
        self.handed = False
        # Open once the thread is to look; not an event, which a handler that sets it could find
        # half set.
        self.idle = _closed_lock()
        self.line = agent.Line()
        self.said = 0
        self.thread = None

    def add(self, event):
        self.queue.append(event)
        if self.thread is None:
            self.start()
        if len(self.queue) > WAITING or not self.thread.is_alive():
            self.flush()
            return
        if not self.sending.locked() and not _is_handled() and self.sending.acquire(False):
            self.handed = self.say()
            if not self.handed:
                self.sending.release()
        self.wake()

    def start(self):
        self.thread = threading.Thread(target=self.run, name='waggoner-events')
        self.thread.daemon = True
        try:
            self.thread.start()
        except RuntimeError:
            pass  # The interpreter ends: lines are sent one by one.

    def run(self):
        while True:
            self.idle.acquire()
            handed, self.handed = self.handed, False
            if not handed and not self.sending.acquire(False):
                # Whoever holds it sends what there is, or wakes this.
                continue
            try:
                if handed:
                    self.hear()
                self.drain()
            finally:
                self.release()

    def wake(self):
        try:
            self.idle.release()
        except RuntimeError:
            pass  # It is about to look.

    def is_new(self):
        """Says whether nothing has ever been added."""
        return self.thread is None and not self.queue and not self.sending.locked()

    def flush(self):
        if self.is_new():
            return
        if self.thread is not None and self.thread.is_alive() and _is_handled():
            heard = _closed_lock()
            self.queue.append(heard)
            self.wake()
            heard.acquire()
            return
        self.sending.acquire()
        try:
            self.drain()
        finally:
            self.release()

    def drain(self):
        while self.say():
            self.hear()

    def release(self):
        self.sending.release()
        if self.queue:
            # Added by somebody who found the lock held.
            self.wake()

    def say(self):
        """Sends a batch, if there is one, and says whether an answer is to be heard."""
        batch = self.take()
        self.said = len(batch)
        if batch:
            try:
                self.line.say('WriteEvents', {'events': batch})
            except Exception:
                pass  # `hear` tries again.
        return bool(batch)

    def hear(self):
        try:
            self.line.hear()
        except Exception as error:
            # An operation does not fail because its log does.
            try:
                sys.stderr.write('{0} log lines were lost: {1}\n'.format(self.said, error))
            except Exception:
                pass  # A plugin has closed it, or put something else in its place.

    def take(self):
        batch = []
        characters = 0
        while self.queue and len(batch) < BATCH and characters < BATCH_CHARACTERS:
            if not isinstance(self.queue[0], dict):
                if batch:
                    break
                # All before it is heard: whoever waits for that goes on.
                self.queue.popleft().release()
                continue
            event = self.queue.popleft()
            characters += len(event['message'])
            batch.append(event)
        return batch


def _closed_lock():
    lock = threading.Lock()
    lock.acquire()
    return lock


def _is_handled():
    """Says whether a signal may run a handler of the plugin in this thread, right now."""
    if threading.current_thread() is not threading.main_thread():
        return False
    # From the module below, as what `signal` makes of each takes a hundred times longer.
    handlers = map(_signal.getsignal, range(1, _signal.NSIG))
    return any(callable(it) and it is not _signal.default_int_handler for it in handlers)


_events = _Events()


def flush():
    """Returns once everything that was added before is with the agent."""
    _events.flush()


def _after_fork():
    global _events
    # What holds nothing is good for the child too, and a fork writes to as little as it can.
    if not _events.is_new():
        _events = _Events()


if hasattr(os, 'register_at_fork'):
    # What a child says comes after what its parent had said, though on another connection.
    os.register_at_fork(before=flush, after_in_child=_after_fork)

atexit.register(flush)


def log_out(log, **kwargs):
    """Takes what the stock logging handlers pass on."""
    if kwargs.get('skip_send'):
        return
    level = log.get('level')
    _add(log, 'log', {
        'level': level if level in LEVELS else 'info',
        'logger': log.get('logger') or '',
    })


def event_out(event, **kwargs):
    """Takes what the stock `send_…_event` functions pass on."""
    if kwargs.get('skip_send'):
        return
    _add(event, 'pluginEvent', {'eventType': event.get('event_type') or ''})


def _add(item, kind, details):
    now = datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%dT%H:%M:%S.%fZ')
    text = (item.get('message') or {}).get('text')
    text = '' if text is None else str(text)
    # Half a surrogate pair, as file names with broken bytes have, is not UTF-8.
    text = text.encode('utf-8', 'backslashreplace').decode('utf-8')
    for start in range(0, max(len(text), 1), PIECE):
        _events.add({'time': now, 'message': text[start:start + PIECE], kind: details})
