"""Tests what needs nothing but Python: `python3 -m unittest`."""

import os
import tempfile
import unittest

from note_plugin import notes


class NotesTest(unittest.TestCase):

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, 'deep', 'note.txt')

    def test_a_note_is_read_as_it_was_written(self):
        digest = notes.write(self.path, 'café')
        self.assertEqual(notes.read(self.path), 'café')
        self.assertEqual(digest, notes.digest('café'))

    def test_a_note_may_be_removed_twice(self):
        notes.write(self.path, 'text')
        notes.remove(self.path)
        notes.remove(self.path)
        self.assertIsNone(notes.read(self.path))


if __name__ == '__main__':
    unittest.main()
