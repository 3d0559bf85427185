"""Tests of Munbon; helpers are imported as tests.builders and tests.fakes."""
