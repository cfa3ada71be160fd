"""What all sections of the settings share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]


class Section(BaseModel):
    """Settings that belong together; an unknown name is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
