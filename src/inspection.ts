/** A third composition root: what a configuration can be checked against before Postern runs with it. */
export { inspectTokenIssuers } from './identity/bearer/issuers.ts'
export { type AuthorizationAnswer, type ClientInspection, inspectClient } from './identity/oidc/inspect.ts'
export { dataFile } from './store/lmdb.ts'
export { inspectStore } from './store/open.ts'
export { inspectUpstreams, inspectWebSockets, type UpstreamFinding, type WebSocketFinding } from './upstream/inspect.ts'
