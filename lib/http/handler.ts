/** An application: a request in, a response out. */
export type Handler = (request: Request) => Response | Promise<Response>;
