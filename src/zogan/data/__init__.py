"""Read, check, split and batch the user's rows."""

from zogan.data.rows import DialogueRow, Message, Place, Row, TextRow

__all__ = ["DialogueRow", "Message", "Place", "Row", "TextRow"]
