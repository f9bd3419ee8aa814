/**
 * The engine's `Response`, as it was when this module was loaded: an application may put `LightResponse` in its global
 * place afterwards.
 */
export const EngineResponse: typeof Response = Response;
