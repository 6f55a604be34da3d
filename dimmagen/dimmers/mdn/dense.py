"""A dense layer for compiled code near the CPU's peak speed: blocks of 4 outputs x 24 pixels in registers.

Compilers do not keep such a block in registers by themselves, so its instructions are written out. Every
product is a fused multiply-add, in the order of the inputs: the result has the same bits on every processor.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

ROWS, LANES, VECTORS = 4, 8, 3
COLUMNS = LANES * VECTORS  # pixels in a block; 12 accumulators, 3 inputs and 1 weight fill 16 registers


@intrinsic
def dense_block(typing_context, weight, bias, row, floor, planes, source, target, stride):
    """Outputs row to row + 3 of a layer, max(floor, bias + weight @ inputs), for 24 pixels.

    Args:
        weight: float32 (outputs, inputs), C-contiguous.
        bias: float32 (outputs,).
        row: index of the first of the four outputs.
        floor: float32; 0 for a rectified layer, minus infinity for a linear one.
        planes: float32, one-dimensional: planes of `stride` pixels.
        source, target: index in `planes` of the first of these pixels, in the first input and in output
            `row`.
        stride: number of pixels per plane.
    """
    for array, dimensions in ((weight, 2), (bias, 1), (planes, 1)):
        if array != types.Array(types.float32, dimensions, "C"):
            raise TypingError(f"dense_block takes contiguous float32 arrays, not {array}")
    index = types.intp
    return types.void(weight, bias, index, types.float32, planes, index, index, index), _generate


def _generate(context, builder, signature, arguments):
    weight, bias, planes = (
        make_array(kind)(context, builder, value)
        for kind, value in ((signature.args[index], arguments[index]) for index in (0, 1, 4))
    )
    first_row, floor = arguments[2:4]
    source, target, stride = arguments[5:]
    count = cgutils.unpack_tuple(builder, weight.shape)[1]
    vector = ir.VectorType(ir.FloatType(), LANES)
    fma_type = ir.FunctionType(vector, [vector] * 3)
    fma = cgutils.get_or_insert_function(builder.module, fma_type, f"llvm.fma.v{LANES}f32")

    def number(value):
        return ir.Constant(source.type, value)

    def in_all_lanes(value):
        one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), lanes)

    def vectors_at(index):
        """Pointers to the block's three vectors in the plane whose first pixel is at `index`."""
        steps = (builder.add(index, number(LANES * step)) for step in range(VECTORS))
        return [builder.bitcast(builder.gep(planes.data, [at]), vector.as_pointer()) for at in steps]

    sums = [[cgutils.alloca_once(builder, vector) for _ in range(VECTORS)] for _ in range(ROWS)]
    for row, totals in enumerate(sums):
        start = in_all_lanes(builder.load(builder.gep(bias.data, [builder.add(first_row, number(row))])))
        for total in totals:
            builder.store(start, total)
    with cgutils.for_range(builder, count) as loop:
        plane = builder.add(source, builder.mul(loop.index, stride))
        values = [builder.load(pointer, align=4) for pointer in vectors_at(plane)]
        for row, totals in enumerate(sums):
            at = builder.add(builder.mul(builder.add(first_row, number(row)), count), loop.index)
            factor = in_all_lanes(builder.load(builder.gep(weight.data, [at])))
            for value, total in zip(values, totals, strict=True):
                builder.store(builder.call(fma, [factor, value, builder.load(total)]), total)
    lowest = in_all_lanes(floor)
    for row, totals in enumerate(sums):
        plane = builder.add(target, builder.mul(number(row), stride))
        for pointer, total in zip(vectors_at(plane), totals, strict=True):
            value = builder.load(total)
            above = builder.fcmp_ordered(">", value, lowest)
            builder.store(builder.select(above, value, lowest), pointer, align=4)
    return context.get_dummy_value()
