"""Names that a WGSL shader must not declare, or had better not.

From "WebGPU Shading Language", editor's draft at github.com/gpuweb/gpuweb, revision
da251f90d8a04f3b52de9de306ba4155146de729 (2026-08-20), wgsl/index.bs: section "Keyword Summary",
"Reserved Words" (wgsl/wgsl.reserved.plain), "Predeclared Types and Type-Generators Summary",
"Built-in Functions", and "Identifiers" for `_` and names that begin with two underscores.
"""

from __future__ import annotations

ENABLE_SUBGROUPS = "enable subgroups;"
"""The first line of shaders that use subgroups."""

_KEYWORDS = """
    alias break case const const_assert continue continuing default diagnostic discard else
    enable false fn for if let loop override requires return struct switch true var while
    """

_RESERVED_WORDS = """
    NULL Self abstract active alignas alignof as asm asm_fragment async attribute auto await
    become cast catch class co_await co_return co_yield coherent column_major common compile
    compile_fragment concept const_cast consteval constexpr constinit crate debugger
    decltype delete demote demote_to_helper do dynamic_cast enum explicit export extends
    extern external fallthrough filter final finally friend from fxgroup get goto
    groupshared highp impl implements import inline instanceof interface layout lowp macro
    macro_rules match mediump meta mod module move mut mutable namespace new nil noexcept
    noinline nointerpolation non_coherent noncoherent noperspective null nullptr of operator
    package packoffset partition pass patch pixelfragment precise precision premerge priv
    protected pub public readonly ref regardless register reinterpret_cast require resource
    restrict self set shared sizeof smooth snorm static static_assert static_cast std
    subroutine super target template this thread_local throw trait try type typedef typeid
    typename typeof union unless unorm unsafe unsized use using varying virtual volatile
    wgsl where with writeonly yield
    """

# Hiding a predeclared name is legal, and breaks whatever in its scope meant the original.
_TYPES = """
    bool i32 u32 f32 f16 array atomic buffer ptr vec2 vec3 vec4 sampler sampler_comparison
    texture_1d texture_2d texture_2d_array texture_3d texture_cube texture_cube_array
    texture_multisampled_2d texture_depth_multisampled_2d texture_external
    texture_depth_2d texture_depth_2d_array texture_depth_cube texture_depth_cube_array
    texture_storage_1d texture_storage_2d texture_storage_2d_array texture_storage_3d
    """

_ENUMERANTS = """
    read write read_write function private workgroup uniform storage handle immediate
    """

_FUNCTIONS = """
    abs acos acosh all any arrayLength asin asinh atan atan2 atanh atomicAdd atomicAnd
    atomicCompareExchangeWeak atomicExchange atomicLoad atomicMax atomicMin atomicOr
    atomicStore atomicSub atomicXor bitcast bufferArrayView bufferLength bufferView ceil
    clamp cos cosh countLeadingZeros countOneBits countTrailingZeros cross degrees
    determinant distance dot dot4I8Packed dot4U8Packed dpdx dpdxCoarse dpdxFine dpdy
    dpdyCoarse dpdyFine exp exp2 extractBits faceForward firstLeadingBit firstTrailingBit
    floor fma fract frexp fwidth fwidthCoarse fwidthFine insertBits inverseSqrt ldexp length
    log log2 max min mix modf normalize pack2x16float pack2x16snorm pack2x16unorm
    pack4x8snorm pack4x8unorm pack4xI8 pack4xI8Clamp pack4xU8 pack4xU8Clamp pow
    quadBroadcast quadSwapDiagonal quadSwapX quadSwapY quantizeToF16 radians reflect refract
    reverseBits round saturate select sign sin sinh smoothstep sqrt step storageBarrier
    subgroupAdd subgroupAll subgroupAnd subgroupAny subgroupBallot subgroupBroadcast
    subgroupBroadcastFirst subgroupElect subgroupExclusiveAdd subgroupExclusiveMul
    subgroupInclusiveAdd subgroupInclusiveMul subgroupMax subgroupMin subgroupMul subgroupOr
    subgroupShuffle subgroupShuffleDown subgroupShuffleUp subgroupShuffleXor subgroupXor tan
    tanh textureBarrier textureDimensions textureGather textureGatherCompare textureLoad
    textureNumLayers textureNumLevels textureNumSamples textureSample
    textureSampleBaseClampToEdge textureSampleBias textureSampleCompare
    textureSampleCompareLevel textureSampleGrad textureSampleLevel textureStore transpose
    trunc unpack2x16float unpack2x16snorm unpack2x16unorm unpack4x8snorm unpack4x8unorm
    unpack4xI8 unpack4xU8 workgroupBarrier workgroupUniformLoad
    """

_ALIASES = tuple(f"vec{n}{suffix}" for n in (2, 3, 4) for suffix in "iufh") + tuple(
    f"mat{columns}x{rows}{suffix}"
    for columns in (2, 3, 4)
    for rows in (2, 3, 4)
    for suffix in ("", "f", "h")
)

KEYWORDS = frozenset(_KEYWORDS.split())
RESERVED_WORDS = frozenset(_RESERVED_WORDS.split())
PREDECLARED = frozenset((*(_TYPES + _ENUMERANTS + _FUNCTIONS).split(), *_ALIASES))
NAMES = KEYWORDS | RESERVED_WORDS | PREDECLARED


def is_reserved(name: str) -> bool:
    """True if a shader must not, or had better not, declare `name`."""
    return name in NAMES or name == "_" or name.startswith("__")
