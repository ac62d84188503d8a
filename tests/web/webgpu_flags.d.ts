// The names of WebGPU's flags, which TypeScript's description of the DOM leaves out.

type Flags<Names extends string> = Readonly<Record<Names, number>>;

declare const GPUBufferUsage: Flags<
  "MAP_READ" | "COPY_SRC" | "COPY_DST" | "UNIFORM" | "STORAGE" | "QUERY_RESOLVE"
>;
declare const GPUMapMode: Flags<"READ">;
declare const GPUShaderStage: Flags<"COMPUTE">;
