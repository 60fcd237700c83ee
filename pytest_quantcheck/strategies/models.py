"""Small connected networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import strategies as st

from pytest_quantcheck.formats.tflite_writer import Value
from pytest_quantcheck.strategies.case import ModelCase
from pytest_quantcheck.strategies.network import MOST_JOINED, Network, known_dtype


def small_models(dtype: str | None = None) -> st.SearchStrategy[ModelCase]:
    """Connected networks, most of 2 to 10 operators, with residual additions and concatenations.

    ``dtype`` is the type of their activations, ``"int8"`` or ``"int16"``; without it both occur. Input
    and output are int8, uint8 or float32 around int8, and int16 or float32 around int16.
    """
    return _small_model(known_dtype(dtype))


@st.composite
def _small_model(draw: st.DrawFn, dtype: str | None) -> ModelCase:
    net = Network(draw, dtype)
    source, x = net.edge_input(net.shape4())
    seen = [x]
    for step in draw(st.lists(st.sampled_from(_STEPS), min_size=1, max_size=5)):
        x = step(net, seen)
        seen.append(x)
    if draw(st.booleans()):
        x = net.mean(x, keep=False) if draw(st.booleans()) else x
        x = net.writer.softmax(net.fully_connected(x))
    output = net.edge_output(x)
    return net.case(net.writer.kinds, [source], [output])


def _residual(net: Network, seen: Sequence[Value]) -> Value:
    """Add an earlier value of its shape to the newest one, or subtract it; itself where there is none."""
    earlier = net.choice([x for x in seen if x.shape == seen[-1].shape])
    return net.add(seen[-1], earlier, net.choice(("ADD", "SUB")))


def _scaled(net: Network, seen: Sequence[Value]) -> Value:
    """Multiply the newest value by an earlier one of its shape; by itself where there is none."""
    return net.mul(seen[-1], net.choice([x for x in seen if x.shape == seen[-1].shape]))


def _squashed(net: Network, seen: Sequence[Value]) -> Value:
    """LOGISTIC or TANH; int16 scales above 2 do not fit their arithmetic."""
    x = seen[-1] if seen[-1].scale < 2 else net.requantize_to(seen[-1], 1.5)
    return net.sigmoid(x)


def _joined(net: Network, seen: Sequence[Value]) -> Value:
    """Concatenate the newest value and one that differs in channels only."""
    fits = [x for x in seen if x.shape[:3] == seen[-1].shape[:3]]
    return net.concatenation([seen[-1], net.choice(fits)])


def _slopes(net: Network, seen: Sequence[Value]) -> Value:
    """PRELU, LEAKY_RELU or HARD_SWISH where int8 is, else RELU."""
    x = seen[-1]
    if net.dtype != "int8":
        return net.relu(x)
    if net.draw(st.booleans()):
        return net.prelu(x, net.small_constant(x, net.scale(), net.zero_point()))
    return net.choice((net.hard_swish, net.leaky_relu))(x)  # type: ignore[no-any-return]


def _extremes(net: Network, seen: Sequence[Value]) -> Value:
    """MINIMUM or MAXIMUM of the newest value and a constant."""
    x = seen[-1]
    constant = net.small_constant(x, x.scale, x.zero_point)
    return net.writer.extremum(net.choice(("MINIMUM", "MAXIMUM")), x, constant)


def _moved(net: Network, seen: Sequence[Value]) -> Value:
    """Axes in another order, a part of the newest value, or its parts in another order."""
    x = seen[-1]
    way = net.choice(("TRANSPOSE", "STRIDED_SLICE", "SPLIT", "UNPACK"))
    axes = [axis for axis in range(4) if x.shape[axis] <= MOST_JOINED]
    if way == "TRANSPOSE":
        return net.transpose(x)
    if way == "STRIDED_SLICE":
        return net.strided_slice(x, shrink=False)
    if way == "SPLIT":
        axis = net.choice(axes)
        return net.writer.concatenation(net.writer.split(x, axis, x.shape[axis])[::-1], axis)
    axis = net.choice(axes)
    return net.writer.pack(net.writer.unpack(x, axis)[::-1], axis)


def _enlarged(net: Network, seen: Sequence[Value]) -> Value:
    """The newest value in another size; without much growth along a network."""
    x = seen[-1]
    if net.dtype != "int8" or x.shape[1] * x.shape[2] > 100:
        return net.writer.resize("RESIZE_NEAREST_NEIGHBOR", x, (net.integer(1, 9), net.integer(1, 9)))
    if net.draw(st.booleans()):
        return net.transpose_conv(x)
    return net.writer.resize("RESIZE_BILINEAR", x, (net.integer(1, 9), net.integer(1, 9)))


_STEPS: tuple[Callable[[Network, Sequence[Value]], Value], ...] = (
    lambda net, seen: net.conv_2d(seen[-1]),
    lambda net, seen: net.conv_2d(seen[-1], depthwise=True),
    _residual,
    _scaled,
    _squashed,
    _joined,
    lambda net, seen: net.pool(net.choice(("AVERAGE_POOL_2D", "MAX_POOL_2D")), seen[-1]),
    lambda net, seen: net.pad(seen[-1], None),
    lambda net, seen: net.relu(seen[-1]),
    lambda net, seen: net.writer.relu6(seen[-1]),
    _slopes,
    _extremes,
    _moved,
    _enlarged,
)
