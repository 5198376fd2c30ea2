// Made by Emscripten.
declare module "*/mge.simd-threads.js" {
  const factory: (options: object) => Promise<any>;
  export default factory;
}
