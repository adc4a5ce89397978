"""Actions whose input holds what nobody shall see."""

from dynflow_mp import Action


class LogsIn(Action):
    """Fails as programs do: with all it knows in its error, and in that of its cause."""

    sensitive = ("card.number",)

    def run(self):
        card = self.input["card"]["number"]
        try:
            raise ConnectionError(f"no route to postgresql://app:{self.input['password']}@db/plans")
        except ConnectionError as error:
            raise ValueError(f"{self.input!r} does not work, {card} neither") from error


class TellsItsToken(Action):
    """Its output holds a secret, and so does what it raises afterwards."""

    def run(self):
        self.output["access_token"] = self.input["made"]
        raise RuntimeError(f"the server does not like {self.output['access_token']}")
