"""Code of users around what actions do: which classes stand around a class's phases, and in which order.

    outermost ─▶ Middleware.run(*args) ─ pass_on ─▶ the next one ─ pass_on ─▶ … ─▶ the action's own run
              ◀───────── what is returned, or raised, travels back ─────────────

Rules stand in classes (``middleware = [Use(Audit, before=Log)]``), those of a base before those of what is derived
from it, and outside of them the rules of a whole world. Which order follows from them is found once per class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from dynflow_mp.errors import CyclicMiddleware, DefinitionError, WrongPhase

if TYPE_CHECKING:
    from dynflow_mp.actions.action import Action

KINDS = ("plan", "plan_phase", "run", "finalize", "finalize_phase", "present", "delay", "hook")
_OF_AN_ACTION = ("plan", "run", "finalize", "present", "delay", "hook")


class Middleware:
    """Code around what actions do. Override the kinds you want; each must call :meth:`pass_on` to let go on what is inside.

    An object serves one call of one kind. What :meth:`pass_on` raises has failed the action unless it is caught;
    ``suspend()`` and ``error()`` pass through ``except Exception`` and do run ``finally``. Where nothing is passed
    on, all that is inside is left out, and the phase ends well.
    """

    execution_plan_id: str
    """The plan this is about."""

    _kind: str
    _action: Action | None
    _next: Callable[..., Any]

    @property
    def action(self) -> Action:
        """The action this is about. ``plan_phase`` and ``finalize_phase`` are about whole plans and have none."""
        if self._action is None:
            raise WrongPhase("the action of a middleware", self._kind, _OF_AN_ACTION)
        return self._action

    def pass_on(self, *args: Any, **kwargs: Any) -> Any:
        """Go on inside, with these arguments; gives back what comes from there."""
        return self._next(*args, **kwargs)

    def plan(self, *args: Any, **kwargs: Any) -> Any:
        """Around each action's ``plan``, with its arguments, where it is planned."""
        return self.pass_on(*args, **kwargs)

    def plan_phase(self) -> Any:
        """Around the planning of a whole plan; the classes around its root action are asked."""
        return self.pass_on()

    def run(self, *args: Any) -> Any:
        """Around each call of ``run``, with the event if there is one, in a worker."""
        return self.pass_on(*args)

    def finalize(self) -> Any:
        """Around each ``finalize``, in a worker."""
        return self.pass_on()

    def finalize_phase(self) -> Any:
        """Around all of a plan's ``finalize``; the classes around its root action are asked."""
        return self.pass_on()

    def present(self) -> Any:
        """When an action is read to be looked at: what is changed in its input and output is shown, never stored."""
        return self.pass_on()

    def delay(self, *args: Any, **kwargs: Any) -> Any:
        """Around putting a plan off, with the options and the arguments that the action's own ``delay`` gets."""
        return self.pass_on(*args, **kwargs)

    def hook(self, *args: Any) -> Any:
        """Around the hooks of one action for one change of its plan's state."""
        return self.pass_on(*args)


Layers: TypeAlias = "tuple[type[Middleware], ...]"
Kinds: TypeAlias = "type[Middleware] | Sequence[type[Middleware]] | None"


class Use:
    """A rule: ``middleware`` stands around the class; outside of ``before``, inside of ``after``.

    In the place of ``replace``, it takes over that one's position, and all rules that name it. Rules about
    classes that do not stand around the same action say nothing. A rule never changes.
    """

    __slots__ = ("after", "before", "middleware", "replace")

    def __init__(
        self,
        middleware: type[Middleware],
        *,
        before: Kinds = None,
        after: Kinds = None,
        replace: Kinds = None,
    ) -> None:
        self.middleware: type[Middleware] | None = _checked(middleware)
        self.before, self.after, self.replace = map(_several, (before, after, replace))

    def __repr__(self) -> str:
        named = [f"{name}={getattr(self, name)!r}" for name in ("before", "after", "replace")]
        return f"Use({', '.join([repr(self.middleware), *named])})"


def do_not_use(middleware: type[Middleware]) -> Use:
    """A rule: what a base class or the world put around this class stands there no more."""
    rule = Use(middleware, replace=middleware)
    rule.middleware = None
    return rule


def _several(kinds: Kinds) -> Layers:
    several = () if kinds is None else kinds if isinstance(kinds, (list, tuple)) else (kinds,)
    return tuple(_checked(kind) for kind in several)


def _checked(kind: Any) -> type[Middleware]:
    if not (isinstance(kind, type) and issubclass(kind, Middleware)):
        raise DefinitionError(f"{kind!r} is not a class of middleware")
    return kind


# -- rules -------------------------------------------------------------------------------------------


def rules_in(given: Any, where: str) -> tuple[Use, ...]:
    """What was written as one middleware class or rule, or as a list of them."""
    several = given if isinstance(given, (list, tuple)) else (given,)
    rules: list[Use] = []
    for one in several:
        try:
            rules.append(one if isinstance(one, Use) else Use(one))
        except DefinitionError as error:
            raise DefinitionError(f"{where}: {error}") from None
    return tuple(rules)


def own_rules(kind: type) -> tuple[Use, ...]:
    """The rules in the bodies of a class and its bases, base first."""
    rules: list[Use] = []
    for base in reversed(kind.__mro__):
        given = vars(base).get("middleware")
        if given is not None:
            rules += rules_in(given, f"{base.__module__}.{base.__qualname__}.middleware")
    return tuple(rules)


def check(kind: type) -> None:
    """Raises :class:`DefinitionError`, or :class:`CyclicMiddleware`, for rules that cannot be followed."""
    if any("middleware" in vars(base) for base in kind.__mro__):
        in_order(own_rules(kind))


def in_order(rules: Iterable[Use]) -> tuple[type[Middleware], ...]:
    """The middleware that these rules ask for, outermost first. Raises :class:`CyclicMiddleware`."""
    stack = _Stack()
    for rule in rules:
        stack.follow(rule)
    return stack.sorted()


class _Stack:
    """Places in the order of their registration, and which of them stand outside of which."""

    def __init__(self) -> None:
        self._places: list[type[Middleware]] = []
        self._outer: list[tuple[type[Middleware], type[Middleware]]] = []
        """(outer, inner)"""
        self._successor: dict[type[Middleware], type[Middleware] | None] = {}

    def follow(self, rule: Use) -> None:
        new = rule.middleware
        for replaced in rule.replace:
            self._replace(replaced, new)
        if new is None:
            return
        if new not in self._places:
            self._places.append(new)
        self._successor.pop(new, None)
        self._outer += [(new, inner) for inner in rule.before] + [(outer, new) for outer in rule.after]

    def _replace(self, replaced: type[Middleware], new: type[Middleware] | None) -> None:
        if replaced is new or replaced not in self._places:
            return
        at = self._places.index(replaced)
        if new is None or new in self._places:
            del self._places[at]
        else:
            self._places[at] = new
        self._successor[replaced] = new

    def sorted(self) -> tuple[type[Middleware], ...]:
        outer: dict[type[Middleware], list[type[Middleware]]] = {place: [] for place in self._places}
        for first, second in self._outer:
            outside, inside = self._now(first), self._now(second)
            if outside in outer and inside in outer:
                outer[inside].append(outside)
        return tuple(_outermost_first(outer))

    def _now(self, kind: type[Middleware]) -> Any:
        """Who stands in the place of a class that was replaced, maybe more than once."""
        found: Any = kind
        for _ in range(len(self._successor) + 1):
            if found not in self._successor:
                break
            found = self._successor[found]
        return found


def _outermost_first(outer: dict[type[Middleware], list[type[Middleware]]]) -> list[type[Middleware]]:
    """Depth first in the order of registration, what stands outside of each before it."""
    found: list[type[Middleware]] = []
    way: list[type[Middleware]] = []

    def visit(kind: type[Middleware]) -> None:
        if kind in found:
            return
        if kind in way:
            cycle = [*way[way.index(kind) :], kind]
            raise CyclicMiddleware([f"{one.__module__}.{one.__qualname__}" for one in cycle])
        way.append(kind)
        for outside in sorted(outer[kind], key=list(outer).index):
            visit(outside)
        way.pop()
        found.append(kind)

    for kind in outer:
        visit(kind)
    return found


# -- what stands around a class ----------------------------------------------------------------------


class Around(NamedTuple):
    """The middleware around one class by kind, outermost first; only those that override the kind."""

    plan: Layers = ()
    plan_phase: Layers = ()
    run: Layers = ()
    finalize: Layers = ()
    finalize_phase: Layers = ()
    present: Layers = ()
    delay: Layers = ()
    hook: Layers = ()


NOTHING = Around()


class MiddlewareRules:
    """What stands around classes in one world: its own rules outside, the classes' inside. Any thread may ask."""

    def __init__(self, everywhere: Sequence[Use] = ()) -> None:
        """Raises :class:`CyclicMiddleware`."""
        self._everywhere = tuple(everywhere)
        self.outermost = _by_kind(in_order(everywhere))
        """What stands around classes that say nothing, and around those that are not known here."""
        self._known: dict[type, Around] = {}

    def around(self, kind: type) -> Around:
        """What stands around a class of actions. Raises :class:`CyclicMiddleware`."""
        found = self._known.get(kind)
        if found is None:
            own = own_rules(kind)
            found = _by_kind(in_order((*self._everywhere, *own))) if own else self.outermost
            self._known[kind] = found
        return found


def _by_kind(stack: Layers) -> Around:
    if not stack:
        return NOTHING
    return Around(
        *(
            tuple(one for one in stack if getattr(one, kind) is not getattr(Middleware, kind))
            for kind in KINDS
        )
    )


CLASSES_ONLY = MiddlewareRules()
"""Where a world has no rules of its own."""


_of_this_process = CLASSES_ONLY


def world_middleware() -> MiddlewareRules:
    """The rules that stand around the classes of this process: a worker is of one world."""
    return _of_this_process


def set_world_middleware(rules: MiddlewareRules) -> None:
    """From now on these rules stand around the classes of this process."""
    global _of_this_process
    _of_this_process = rules


def call(
    layers: Layers, kind: str, plan_id: str, action: Action | None, innermost: Callable[..., Any]
) -> Callable[..., Any]:
    """``innermost`` with these layers around it, ready to be called."""
    inner = innermost
    for layer in reversed(layers):
        middleware = layer()
        middleware._kind, middleware._action, middleware._next = kind, action, inner
        middleware.execution_plan_id = plan_id
        inner = getattr(middleware, kind)
    return inner
