"""The tables of a run: what their columns are called."""

from detector.output.tables import CSV_COLUMNS, csv_row
from helpers.feed import flash

COLUMNS = (
    "id camera file state start_utc start_seconds peak_seconds end_seconds duration_seconds pulses peak_rise_levels "
    "lit_fraction probability verifier clock utc_error_ms quality still clip reason"
)
"""What users read from flashes.csv. Add a column at the end; a change or removal breaks their scripts."""


def test_the_columns_of_the_csv_file_are_these_and_a_flash_fills_each() -> None:
    assert " ".join(CSV_COLUMNS) == COLUMNS
    assert csv_row(flash()).keys() == set(CSV_COLUMNS)
