import type { JsonObject, Span } from '../../../src/types.ts'
import type { Clock } from '../clock.ts'
import type { Outbound } from '../http/outbound.ts'

/** Where and how an app is provisioned. */
export interface ScimConnection {
  readonly appId: string
  /** `https://…/scim/v2`, no slash at the end. */
  readonly baseUrl: string
  readonly token: string
  /** `patch`: apps of the integration network (OIN). `put`: custom apps (AIW), which use PUT for everything. */
  readonly dialect: 'patch' | 'put'
}

/** One call as Okta made it. */
export interface ScimCall {
  readonly at: Span
  readonly appId: string
  readonly method: string
  /** Below the base URL, with the query. */
  readonly path: string
  /** The receiver's status, or why there is none. */
  readonly result: number | string
}

export interface ScimAnswer {
  readonly status: number
  readonly body: JsonObject
}

/** The receiver refused or failed; the change is still to be made. */
export class ScimFailure extends Error {
  override readonly name = 'ScimFailure'
  readonly result: number | string

  constructor(result: number | string) {
    super(`SCIM: ${result}`)
    this.result = result
  }
}

/** @throws ScimFailure for anything but 2xx and the statuses in `tolerate` */
export type ScimClient = (
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  body?: JsonObject,
  tolerate?: readonly number[],
) => Promise<ScimAnswer>

/** Okta's time limit. */
const TIMEOUT: Span = 60_000

export function createScimClient(deps: {
  readonly clock: Clock
  readonly outbound: Outbound
  readonly connection: ScimConnection
  readonly note: (call: ScimCall) => void
}): ScimClient {
  const { clock, outbound, connection } = deps
  return async (method, path, body, tolerate = []) => {
    const answer = await outbound.send({
      method,
      url: `${connection.baseUrl}${path}`,
      headers: {
        authorization: `Bearer ${connection.token}`,
        'user-agent': 'Okta SCIM Client 1.0.0',
        accept: 'application/scim+json',
        ...(body && { 'content-type': 'application/scim+json; charset=utf-8' }),
      },
      ...(body && { body: JSON.stringify(body) }),
      timeout: TIMEOUT,
    })
    const result = answer.kind === 'answer' ? answer.status : answer.reason
    deps.note({ at: clock.now(), appId: connection.appId, method, path, result })
    if (answer.kind === 'failed') throw new ScimFailure(result)
    const accepted = (answer.status >= 200 && answer.status < 300) || tolerate.includes(answer.status)
    if (!accepted) throw new ScimFailure(result)
    return { status: answer.status, body: parse(answer.body) }
  }
}

function parse(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {}
  } catch {
    // No body, or not JSON: read as an empty object.
    return {}
  }
}
