"""Shows the trials of a search as they end: a bar with an estimate in a terminal, and a line for each."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from recsys.pipeline import Watcher
from recsys.tuning import Trial
from recsys.tuning.space import tuned


class TrialMeter(Watcher):
    """Writes to a console; use it as a context manager, so that the bar is taken down again."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("trials", total=None, visible=False)

    def __enter__(self) -> "TrialMeter":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begun(self, ended: list[Trial], trials: int) -> None:
        """Say whether a search begins or goes on."""
        self._bar.reset(self._task, total=max(trials - len(ended), 0), visible=True)
        if not ended:
            self._say("A new search; the settings in force come first.")
        elif len(ended) < trials:
            best = max(trial.value for trial in ended)
            self._say(f"Going on with this search: {len(ended)} of {trials} trials ended before, the best {best:.4f}.")
        else:
            self._say(f"All of {trials} trials ended before; --trials {len(ended) * 2} would go on with this search.")

    def tried(self, trial: Trial, best: Trial) -> None:
        """Print what a trial came to."""
        self._bar.update(self._task, advance=1, description=f"best {best.value:.4f}, trial {best.number}")
        mark = "*" if trial.number == best.number else " "
        settings = ", ".join(f"{name} {value}" for name, value in tuned(trial.learner).items())
        self._say(f"trial {trial.number:>3} {trial.value:.4f}{mark} {trial.seconds:>6.1f} s   {settings}")

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)
