import type { JsonObject } from '../../../src/types.ts'
import { iso } from '../management/render.ts'
import type { Occurrence, Person } from '../model/types.ts'
import { EVENT_TYPES } from './event-types.ts'

interface Principal {
  readonly [member: string]: string | null
  readonly id: string
  readonly type: string
  readonly alternateId: string
  readonly displayName: string
  readonly detailEntry: null
}

/** The members that the emulator reads; there are more. */
export type LogEvent = JsonObject & {
  readonly uuid: string
  readonly published: string
  readonly eventType: string
  readonly target: readonly Principal[]
}

const SYSTEM = principal('system-okta', 'SystemPrincipal', 'system@okta.com', 'Okta System')
const ADDRESS = [{ ip: '127.0.0.1', version: 'V4', source: null, geographicalContext: null }]

/** A LogEvent (okta-api.md#event-hooks). Hook copies add `insertionTimestamp` and keep the address chain in `client`. */
export function renderLogEvent(occurrence: Occurrence, place: 'log' | 'hook'): LogEvent {
  const known = EVENT_TYPES[occurrence.eventType]
  const published = iso(occurrence.at)
  const inHook = place === 'hook'
  return {
    uuid: occurrence.uuid,
    published,
    eventType: occurrence.eventType,
    version: '0',
    displayMessage: known?.text ?? occurrence.eventType,
    severity: occurrence.outcome === 'SUCCESS' ? 'INFO' : 'WARN',
    client: {
      userAgent: { rawUserAgent: 'UNKNOWN', os: 'Unknown', browser: 'UNKNOWN' },
      zone: 'null',
      device: 'Unknown',
      id: null,
      ipAddress: '127.0.0.1',
      geographicalContext: null,
      ...(inHook && { ipChain: ADDRESS }),
    },
    device: null,
    actor: actorOf(occurrence),
    outcome: { result: occurrence.outcome, reason: occurrence.reason ?? null },
    target: targetsOf(occurrence),
    transaction: { type: 'WEB', id: occurrence.uuid.slice(0, 18), detail: {} },
    debugContext: { debugData: {} },
    legacyEventType: occurrence.legacyEventType ?? known?.legacy ?? null,
    authenticationContext: {
      authenticationProvider: null,
      credentialProvider: null,
      credentialType: null,
      issuer: null,
      interface: null,
      authenticationStep: 0,
      externalSessionId: 'unknown',
    },
    securityContext: { asNumber: null, asOrg: null, isp: null, domain: null, isProxy: null },
    ...(inHook ? { insertionTimestamp: published } : { request: { ipChain: ADDRESS } }),
  }
}

/** People sign in and out themselves; everything else is done by an admin or an import; the emulator makes no difference between them. */
function actorOf(occurrence: Occurrence): Principal {
  const own = /^user\.(session\.(start|end)|authentication)/.test(occurrence.eventType)
  return own && occurrence.person ? userOf(occurrence.person) : SYSTEM
}

/** Their order is not fixed at Okta (okta-api.md#system-log), so it changes here from event to event. */
function targetsOf({ uuid, person, group, app, other }: Occurrence): readonly Principal[] {
  const targets = [
    ...(person ? [userOf(person)] : []),
    ...(group ? [principal(group.id, 'UserGroup', 'unknown', group.name)] : []),
    ...(app ? [principal(app.id, 'AppInstance', app.label, app.label)] : []),
    ...(other ? [principal(other.id, other.type, other.id, other.name)] : []),
  ]
  return Number.parseInt(uuid.slice(-1), 16) % 2 === 0 ? targets : targets.toReversed()
}

function userOf(person: Person): Principal {
  return principal(person.id, 'User', person.login, `${person.firstName} ${person.lastName}`)
}

function principal(id: string, type: string, alternateId: string, displayName: string): Principal {
  return { id, type, alternateId, displayName, detailEntry: null }
}
