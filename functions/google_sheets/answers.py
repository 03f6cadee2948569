"""What Google Sheets answers, and what is given of it: the same in other spelling."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from integrations import Output, Reply

SPREADSHEET = "The spreadsheet's id."
DIMENSION = "Whether the inner lists are rows or columns."


class ReadOutput(Output):
    """A range of cells."""

    range: str = Field(description="The range that was read, in A1 notation.")
    major_dimension: str = Field(description=DIMENSION)
    values: list[list[Any]] = Field(description="The cells; empty ones at the end of a row or the range are left out.")


class BatchReadOutput(Output):
    """Several ranges of cells."""

    spreadsheet_id: str = Field(description=SPREADSHEET)
    value_ranges: list[ReadOutput] = Field(description="What was read, in the order of the ranges.")


class RangeWritten(BaseModel):
    """What was written to a range."""

    updated_range: str = Field(description="The range that was written, in A1 notation.")
    updated_rows: int = Field(description="How many rows hold a cell that was written.")
    updated_columns: int = Field(description="How many columns hold a cell that was written.")
    updated_cells: int = Field(description="How many cells were written.")
    updated_values: list[list[Any]] | None = Field(None, description="What the cells show, where that was asked for.")


class WriteOutput(RangeWritten, Output):
    """What was written to the one range."""

    spreadsheet_id: str = Field(description=SPREADSHEET)


class AppendOutput(WriteOutput):
    """What was written behind a table."""

    table_range: str | None = Field(None, description="The table as it was before, null where none was found.")


class ClearOutput(Output):
    """What was emptied."""

    spreadsheet_id: str = Field(description=SPREADSHEET)
    cleared_range: str = Field(description="The range that was cleared, in A1 notation.")


class BatchWriteOutput(Output):
    """What was written to several ranges."""

    spreadsheet_id: str = Field(description=SPREADSHEET)
    total_updated_sheets: int = Field(description="How many sheets hold a cell that was written.")
    total_updated_rows: int = Field(description="How many rows hold a cell that was written.")
    total_updated_columns: int = Field(description="How many columns hold a cell that was written.")
    total_updated_cells: int = Field(description="How many cells were written.")
    responses: list[RangeWritten] = Field(description="What was written, in the order of the ranges.")


class Sheet(BaseModel):
    """One of a spreadsheet's sheets."""

    sheet_id: int = Field(description="The sheet's id, which stays when it is renamed.")
    title: str = Field(description="The sheet's title, as it stands in A1 notation.")
    index: int = Field(description="Its place among the sheets, from 0.")
    sheet_type: str = Field(description="GRID for cells, OBJECT for a chart, DATA_SOURCE for connected data.")
    hidden: bool = Field(description="Whether the sheet is hidden.")
    rows: int | None = Field(None, description="How many rows a sheet of cells has.")
    columns: int | None = Field(None, description="How many columns a sheet of cells has.")


class MetadataOutput(Output):
    """What a spreadsheet is, without its cells."""

    spreadsheet_id: str = Field(description=SPREADSHEET)
    spreadsheet_url: str = Field(description="Where the spreadsheet opens in a browser.")
    title: str = Field(description="Its title.")
    locale: str | None = Field(None, description="Its locale, such as en_US.")
    time_zone: str | None = Field(None, description="Its time zone, such as Europe/Berlin.")
    sheets: list[Sheet] = Field(description="Its sheets, in their order.")


class Answer(Reply):
    """An answer in camel case. Numbers that are 0, and what is false or empty, Google leaves out."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class ValueRange(Answer):
    """A range of cells; there are no values where all are empty."""

    range: str
    major_dimension: str
    values: list[list[Any]] = Field(default_factory=list)


class ValueRanges(Answer):
    """Several ranges of cells."""

    spreadsheet_id: str
    value_ranges: list[ValueRange]


class Updated(Answer):
    """What an update of one range did."""

    updated_range: str
    updated_rows: int = 0
    updated_columns: int = 0
    updated_cells: int = 0
    updated_data: ValueRange | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """Give what is given of it."""
        values = self.updated_data and self.updated_data.values
        return {**self.model_dump(exclude={"updated_data"}), "updated_values": values}


class UpdatedOne(Updated):
    """The same, of an update that is of one range."""

    spreadsheet_id: str


class Appended(Answer):
    """What was appended, and to which table."""

    spreadsheet_id: str
    table_range: str | None = None
    updates: Updated


class Cleared(Answer):
    """What was emptied."""

    spreadsheet_id: str
    cleared_range: str


class UpdatedAll(Answer):
    """What an update of several ranges did."""

    spreadsheet_id: str
    total_updated_sheets: int = 0
    total_updated_rows: int = 0
    total_updated_columns: int = 0
    total_updated_cells: int = 0
    responses: list[Updated]


class _Properties(Answer):
    title: str
    locale: str | None = None
    time_zone: str | None = None


class _Grid(Answer):
    row_count: int | None = None
    column_count: int | None = None


class _SheetProperties(Answer):
    sheet_id: int
    title: str
    index: int = 0
    sheet_type: str = "GRID"
    hidden: bool = False
    grid_properties: _Grid = Field(default_factory=_Grid)


class _Sheet(Answer):
    properties: _SheetProperties


class Spreadsheet(Answer):
    """A spreadsheet, as far as it was asked for."""

    spreadsheet_id: str
    spreadsheet_url: str
    properties: _Properties
    sheets: list[_Sheet]

    @property
    def output(self) -> MetadataOutput:
        """Give what is given of it."""
        return MetadataOutput(
            spreadsheet_id=self.spreadsheet_id,
            spreadsheet_url=self.spreadsheet_url,
            title=self.properties.title,
            locale=self.properties.locale,
            time_zone=self.properties.time_zone,
            sheets=[
                Sheet(
                    sheet_id=each.sheet_id,
                    title=each.title,
                    index=each.index,
                    sheet_type=each.sheet_type,
                    hidden=each.hidden,
                    rows=each.grid_properties.row_count,
                    columns=each.grid_properties.column_count,
                )
                for each in (sheet.properties for sheet in self.sheets)
            ],
        )
