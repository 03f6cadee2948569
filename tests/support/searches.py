"""What services that search answer, by a script, for tests of what is built on several of them."""

from collections.abc import Callable

from tests.support.upstream import Message, Request, content, json


def wiki(*titles: str) -> Callable[[Request], Message]:
    """Answer as MediaWiki does, with a page for each title."""
    pages = [
        {"pageid": number, "ns": 0, "title": title, "index": number, "fullurl": f"http://wiki.test/{number}"}
        for number, title in enumerate(titles, 1)
    ]

    def answer(request: Request) -> Message:
        numbers = request.query.get("pageids")
        found = [page for page in pages if not numbers or numbers == [str(page["pageid"])]]
        return json({"batchcomplete": True, "query": {"pages": [{**page, "extract": "Tea."} for page in found]}})

    return answer


def feed(*titles: str) -> Message:
    """Answer as arXiv does, with a paper for each title."""
    entries = "".join(
        f"<entry><id>http://arxiv.org/abs/2101.0000{number}v1</id>"
        f"<title>{title}</title><summary>On tea.</summary></entry>"
        for number, title in enumerate(titles, 1)
    )
    return content(f'<feed xmlns="http://www.w3.org/2005/Atom">{entries}</feed>'.encode(), "application/atom+xml")
