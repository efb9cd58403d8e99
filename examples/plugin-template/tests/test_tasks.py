"""Tests the operations with a context that is made up; skipped where cloudify-common is not installed."""

import os
import tempfile
import unittest

try:
    from cloudify.exceptions import NonRecoverableError
    from cloudify.mocks import MockCloudifyContext
    from cloudify.state import current_ctx
except ImportError:
    raise unittest.SkipTest('cloudify-common is not installed here')

from note_plugin import tasks


class TasksTest(unittest.TestCase):

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, 'note.txt')

    def context(self, **properties):
        ctx = MockCloudifyContext(node_id='note_1', properties=properties)
        current_ctx.set(ctx)
        self.addCleanup(current_ctx.clear)
        return ctx

    def test_create_tells_where_the_note_is(self):
        ctx = self.context(path=self.path, text='hello')
        tasks.create()
        self.assertEqual(ctx.instance.runtime_properties['path'], self.path)
        self.assertIsNone(tasks.check_drift())

    def test_a_relative_path_is_the_end_of_it(self):
        self.context(path='note.txt', text='')
        with self.assertRaises(NonRecoverableError):
            tasks.create()

    def test_a_note_that_was_changed_has_drifted(self):
        self.context(path=self.path, text='hello')
        tasks.create()
        with open(self.path, 'a') as note:
            note.write('!')
        self.assertEqual(tasks.check_drift(), 'the note was changed by somebody else')

    def test_delete_leaves_nothing(self):
        ctx = self.context(path=self.path, text='hello')
        tasks.create()
        tasks.delete()
        self.assertFalse(os.path.exists(self.path))
        self.assertEqual(dict(ctx.instance.runtime_properties), {})


if __name__ == '__main__':
    unittest.main()
