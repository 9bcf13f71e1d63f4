import unittest

from greet import greet


class GreetTest(unittest.TestCase):
    def test_a_person_is_greeted(self):
        self.assertEqual(greet({}, {"name": "Ada"}), "Hello, Ada!")

    def test_nobody_is_an_error(self):
        with self.assertRaisesRegex(ValueError, "context.name is empty"):
            greet({}, {"name": ""})


if __name__ == "__main__":
    unittest.main()
