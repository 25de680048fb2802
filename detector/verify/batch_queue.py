"""Who waits for the verifier: oldest first within a camera, one camera after the other."""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

from detector.candidate import Candidate
from detector.events import Verdict


@dataclass(slots=True, eq=False)
class Ticket:
    """One candidate that was asked about. deadline: when it is answered without a verdict (monotonic seconds)."""

    candidate: Candidate
    answer: Callable[[Candidate, Verdict], None]
    asked: float
    deadline: float
    expired: bool = False

    @property
    def live(self) -> bool:
        """Whether nobody waits for it, so that it may be given up."""
        return self.deadline != float("inf")


class TicketQueue:
    """Tickets that wait and tickets that the verifier holds. Not locked: its owner locks."""

    def __init__(self) -> None:
        # The camera at the front is the next to be served and then goes to the back, so that a busy camera
        # takes one place of a batch in each turn and never all of them.
        self._waiting: OrderedDict[str, deque[Ticket]] = OrderedDict()
        self._held: list[Ticket] = []

    def __len__(self) -> int:
        return self.waiting_count + len(self._held)

    def __iter__(self) -> Iterator[Ticket]:
        return chain(self._held, *self._waiting.values())

    @property
    def waiting_count(self) -> int:
        """How many the verifier has not been asked about."""
        return sum(map(len, self._waiting.values()))

    @property
    def oldest_waiting(self) -> float:
        """When the oldest of them was asked (monotonic seconds), or infinity."""
        return min((tickets[0].asked for tickets in self._waiting.values()), default=float("inf"))

    @property
    def next_deadline(self) -> float:
        """The earliest deadline of those not yet expired (monotonic seconds), or infinity."""
        return min((ticket.deadline for ticket in self if not ticket.expired), default=float("inf"))

    @property
    def all_expired(self) -> bool:
        """Whether each has had an answer without a verdict."""
        return all(ticket.expired for ticket in self)

    def add(self, ticket: Ticket) -> None:
        """Let it wait behind the others of its camera."""
        self._waiting.setdefault(ticket.candidate.camera, deque()).append(ticket)

    def hold(self, limit: int) -> list[Ticket]:
        """Take out the next batch of at most `limit`: one of each camera in turn."""
        while self._waiting and len(self._held) < limit:
            camera, tickets = self._waiting.popitem(last=False)
            self._held.append(tickets.popleft())
            if tickets:
                self._waiting[camera] = tickets
        return list(self._held)

    def release(self, ticket: Ticket) -> bool:
        """The verifier is done with it; False if it was taken from there before."""
        if ticket in self._held:
            self._held.remove(ticket)
            return True
        return False

    def expire(self, now: float) -> list[Ticket]:
        """Those past their deadline at `now`, each once, the longest waiting first."""
        late = sorted((t for t in self if not t.expired and t.deadline <= now), key=lambda ticket: ticket.asked)
        for ticket in late:
            ticket.expired = True
        return late

    def drop_oldest_of_busiest(self) -> Ticket | None:
        """Take out the oldest waiting live ticket of the camera with most of them; None if nobody live waits."""
        live = {camera: [t for t in tickets if t.live] for camera, tickets in self._waiting.items()}
        camera = max(live, key=lambda name: len(live[name]), default=None)
        if camera is None or not live[camera]:
            return None
        ticket = live[camera][0]
        self._waiting[camera].remove(ticket)
        if not self._waiting[camera]:
            del self._waiting[camera]
        return ticket

    def take_waiting(self) -> list[Ticket]:
        """Take out all that wait."""
        tickets = list(chain(*self._waiting.values()))
        self._waiting.clear()
        return tickets

    def take_held(self) -> list[Ticket]:
        """Take out all that the verifier holds."""
        tickets, self._held = self._held, []
        return tickets
