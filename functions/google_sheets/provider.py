"""Google Sheets: read, write, append and clear cells, make a spreadsheet, tell what sheets it has.

The service is the Sheets API v4: https://developers.google.com/workspace/sheets/api/reference/rest. It is asked as a
service account, which sees the spreadsheets that are shared with it, and its own.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from functions.google_sheets.account import GoogleSheetsSetup, authorized
from functions.google_sheets.answers import (
    DIMENSION,
    Appended,
    AppendOutput,
    BatchReadOutput,
    BatchWriteOutput,
    Cleared,
    ClearOutput,
    MetadataOutput,
    RangeWritten,
    ReadOutput,
    Spreadsheet,
    UpdatedAll,
    UpdatedOne,
    ValueRange,
    ValueRanges,
    WriteOutput,
)
from integrations import Arguments, Http, Provider

provider = Provider(
    name="google_sheets",
    title="Google Sheets",
    url="https://workspace.google.com/products/sheets/",
    docs="https://developers.google.com/workspace/sheets/api/reference/rest",
    category="documents",
    setup=GoogleSheetsSetup,
    base_url="https://sheets.googleapis.com/v4/spreadsheets",
    other_urls={"oauth": "https://oauth2.googleapis.com"},
)

SpreadsheetId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,200}$")]
Range = Annotated[str, Field(min_length=1, max_length=500)]
Cell = Annotated[str, Field(max_length=50_000)] | int | float | bool | None
Rows = Annotated[list[Annotated[list[Cell], Field(max_length=18_278)]], Field(min_length=1, max_length=50_000)]
Dimension = Literal["ROWS", "COLUMNS"]
InputOption = Literal["USER_ENTERED", "RAW"]

ID = "The spreadsheet's id, as it stands in its URL behind /d/."
RANGE = "The cells in A1 notation: Sheet1!A1:C10, or Sheet1 for all of a sheet."
VALUES = "The cells as a list of rows; null leaves a cell as it is, an empty string empties it."
INPUT = "USER_ENTERED reads text as if it were typed: =A1 becomes a formula, 1/2 a date. RAW keeps it as text."
INCLUDE = "Whether to give back what the cells show then."


class OneRange(Arguments):
    spreadsheet_id: SpreadsheetId = Field(description=ID)
    range: Range = Field(description=RANGE)


class Rendering(Arguments):
    major_dimension: Dimension = Field("ROWS", description=DIMENSION)
    value_render_option: Literal["FORMATTED_VALUE", "UNFORMATTED_VALUE", "FORMULA"] = Field(
        "FORMATTED_VALUE", description="Whether to give cells as they show, as plain values, or as formulas."
    )
    date_time_render_option: Literal["FORMATTED_STRING", "SERIAL_NUMBER"] = Field(
        "FORMATTED_STRING", description="How to give dates where value_render_option is not FORMATTED_VALUE."
    )

    @property
    def rendering(self) -> dict[str, str]:
        """Give the parameters."""
        return {
            "majorDimension": self.major_dimension,
            "valueRenderOption": self.value_render_option,
            "dateTimeRenderOption": self.date_time_render_option,
        }


class Writing(Arguments):
    value_input_option: InputOption = Field("USER_ENTERED", description=INPUT)
    include_values_in_response: bool = Field(default=False, description=INCLUDE)

    @property
    def writing(self) -> dict[str, Any]:
        """Give the parameters."""
        included = {"includeValuesInResponse": True, "responseValueRenderOption": "FORMATTED_VALUE"}
        return {"valueInputOption": self.value_input_option, **(included if self.include_values_in_response else {})}


class ReadArguments(Rendering, OneRange):
    pass


class BatchReadArguments(Rendering):
    spreadsheet_id: SpreadsheetId = Field(description=ID)
    ranges: Annotated[list[Range], Field(min_length=1, max_length=100)] = Field(
        description="The ranges in A1 notation, up to 100."
    )


class Values(Arguments):
    range: Range = Field(description=RANGE)
    values: Rows = Field(description=VALUES)
    major_dimension: Dimension = Field("ROWS", description=DIMENSION)

    @property
    def body(self) -> dict[str, Any]:
        """Give them as the service has them."""
        return {"range": self.range, "majorDimension": self.major_dimension, "values": self.values}


class WriteArguments(Writing, Values, OneRange):
    insert_data_option: Literal["OVERWRITE", "INSERT_ROWS"] = Field(
        "OVERWRITE", description="Has no effect: writing always overwrites. To add rows use append_values."
    )


class AppendArguments(Writing, Values, OneRange):
    insert_data_option: Literal["OVERWRITE", "INSERT_ROWS"] = Field(
        "INSERT_ROWS", description="Whether new rows are inserted behind the table, or what is there is overwritten."
    )


class BatchWriteArguments(Writing):
    spreadsheet_id: SpreadsheetId = Field(description=ID)
    data: Annotated[list[Values], Field(min_length=1, max_length=100)] = Field(
        description="The ranges to write, up to 100, each with its values."
    )


class CreateArguments(Arguments):
    title: str = Field(description="The title of the spreadsheet.", min_length=1, max_length=500)
    sheets: Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=100)] = Field(
        [], description="The titles of its sheets; one sheet called Sheet1 when left out."
    )
    locale: str | None = Field(None, description="Its locale, such as en_US or de.", pattern=r"^[A-Za-z_]{2,10}$")
    time_zone: str | None = Field(
        None, description="Its time zone, such as Europe/Berlin.", pattern=r"^[A-Za-z0-9/_+-]{1,60}$"
    )


class MetadataArguments(Arguments):
    spreadsheet_id: SpreadsheetId = Field(description=ID)


# What of a spreadsheet is asked for: not its cells, which may be many.
FIELDS = (
    "spreadsheetId,spreadsheetUrl,properties(title,locale,timeZone),"
    "sheets.properties(sheetId,title,index,sheetType,hidden,gridProperties(rowCount,columnCount))"
)


@provider.method(read_only=True)
def read_values(args: ReadArguments, setup: GoogleSheetsSetup, http: Http) -> ReadOutput:
    """Read a range of cells. Gives rows of what the cells show, or their plain values or formulas."""

    def ask(sheets: Http) -> ValueRange:
        path = "/{}/values/{}"
        return sheets.get(path, args.spreadsheet_id, args.range, params=args.rendering, reply=ValueRange)

    return ReadOutput(**authorized(http, setup, ask).model_dump())


@provider.method(read_only=False, destructive=True, idempotent=True)
def write_values(args: WriteArguments, setup: GoogleSheetsSetup, http: Http) -> WriteOutput:
    """Write a range of cells. What is in them is overwritten; cells that are given as null stay as they are."""

    def ask(sheets: Http) -> UpdatedOne:
        where = args.spreadsheet_id, args.range
        return sheets.put("/{}/values/{}", *where, params=args.writing, json=args.body, reply=UpdatedOne)

    return WriteOutput(**authorized(http, setup, ask).facts)


@provider.method(read_only=False, destructive=True, idempotent=False)  # OVERWRITE may destroy what is behind the table
def append_values(args: AppendArguments, setup: GoogleSheetsSetup, http: Http) -> AppendOutput:
    """Add rows behind the last row of a table. It is sent once: after a failure look whether the rows are there."""
    params = {**args.writing, "insertDataOption": args.insert_data_option}

    def ask(sheets: Http) -> Appended:
        where = args.spreadsheet_id, args.range
        return sheets.post("/{}/values/{}:append", *where, params=params, json=args.body, reply=Appended)

    done = authorized(http, setup, ask)
    return AppendOutput(spreadsheet_id=done.spreadsheet_id, table_range=done.table_range, **done.updates.facts)


@provider.method(read_only=False, destructive=True, idempotent=True)
def clear_values(args: OneRange, setup: GoogleSheetsSetup, http: Http) -> ClearOutput:
    """Empty a range of cells. Their formats stay."""

    def ask(sheets: Http) -> Cleared:
        return sheets.post("/{}/values/{}:clear", args.spreadsheet_id, args.range, json={}, reply=Cleared)

    return ClearOutput(**authorized(http, setup, ask).model_dump())


@provider.method(read_only=True)
def batch_read(args: BatchReadArguments, setup: GoogleSheetsSetup, http: Http) -> BatchReadOutput:
    """Read several ranges of cells at once. Gives them in the order in which they are asked for."""
    params = {"ranges": args.ranges, **args.rendering}

    def ask(sheets: Http) -> ValueRanges:
        return sheets.get("/{}/values:batchGet", args.spreadsheet_id, params=params, reply=ValueRanges)

    return BatchReadOutput(**authorized(http, setup, ask).model_dump())


@provider.method(read_only=False, destructive=True, idempotent=True)
def batch_write(args: BatchWriteArguments, setup: GoogleSheetsSetup, http: Http) -> BatchWriteOutput:
    """Write several ranges of cells at once. All of them are written, or none."""
    body = {**args.writing, "data": [each.body for each in args.data]}

    def ask(sheets: Http) -> UpdatedAll:
        return sheets.post("/{}/values:batchUpdate", args.spreadsheet_id, json=body, reply=UpdatedAll)

    written = authorized(http, setup, ask)
    responses = [RangeWritten(**each.facts) for each in written.responses]
    return BatchWriteOutput(**written.model_dump(exclude={"responses"}), responses=responses)


@provider.method(read_only=False, destructive=False, idempotent=False)
def create(args: CreateArguments, setup: GoogleSheetsSetup, http: Http) -> MetadataOutput:
    """Make a spreadsheet. It belongs to the service account, and nobody else sees it until it is shared in Drive."""
    properties = {"title": args.title, "locale": args.locale, "timeZone": args.time_zone}
    body: dict[str, Any] = {"properties": {name: value for name, value in properties.items() if value is not None}}
    if args.sheets:
        body["sheets"] = [{"properties": {"title": title}} for title in args.sheets]

    def ask(sheets: Http) -> Spreadsheet:
        return sheets.post("", params={"fields": FIELDS}, json=body, reply=Spreadsheet)

    return authorized(http, setup, ask).output


@provider.method(read_only=True)
def get_metadata(args: MetadataArguments, setup: GoogleSheetsSetup, http: Http) -> MetadataOutput:
    """Tell what a spreadsheet is called and which sheets it has. Gives no cells."""

    def ask(sheets: Http) -> Spreadsheet:
        return sheets.get("/{}", args.spreadsheet_id, params={"fields": FIELDS}, reply=Spreadsheet)

    return authorized(http, setup, ask).output


handler = provider.handler
