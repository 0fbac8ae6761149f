import type { Adapter, AdapterPayload } from 'oidc-provider'
import type { Span } from '../../../src/types.ts'
import type { Clock } from '../clock.ts'
import type { Org } from '../model/org.ts'
import type { OrgApp, RefreshTokenRotation } from '../model/types.ts'

/**
 * What oidc-provider remembers, for all authorization servers of the org. Codes, tokens and grants belong to one
 * server; the Okta session is one for all of them; clients are the org's apps. Expiry follows the emulator's clock.
 */
export interface OidcStorage {
  adapter(serverId: string): (model: string) => Adapter
  /** The session of this cookie value. */
  session(id: string): AdapterPayload | undefined
  endSession(id: string): void
  /** Ends a person's sessions; `tokens`: their codes and refresh tokens too. */
  endPerson(personId: string, tokens: boolean): void
  clear(): void
}

interface Record {
  readonly model: string
  payload: AdapterPayload
  readonly expiresAt: Span
}

export function createOidcStorage(deps: { readonly clock: Clock; readonly org: Org }): OidcStorage {
  const records = new Map<string, Record>()
  const keyOf = (serverId: string, model: string, id: string): string =>
    model === 'Session' ? `Session ${id}` : `${serverId} ${model} ${id}`

  function read(key: string): AdapterPayload | undefined {
    const record = records.get(key)
    if (!record) return undefined
    if (deps.clock.now() < record.expiresAt) return record.payload
    records.delete(key)
    return undefined
  }

  /** A token that was rotated counts as unused for a while; after that its use is theft, and oidc-provider revokes the family. */
  function withLeeway(token: AdapterPayload | undefined): AdapterPayload | undefined {
    if (token?.consumed === undefined) return token
    const rotation = rotationOf(deps.org.apps.get(String(token.clientId)))
    const leeway = rotation.rotation === 'ROTATE' ? rotation.leeway : 0
    if (deps.clock.now() / 1000 >= Number(token.consumed) + leeway) return token
    const { consumed: _, ...unused } = token
    return unused
  }

  return {
    adapter: (serverId) => (model) => ({
      find: async (id) => {
        if (model === 'RefreshToken') return withLeeway(read(keyOf(serverId, model, id)))
        if (model !== 'Client') return read(keyOf(serverId, model, id))
        const app = deps.org.apps.get(id)
        // A service app has no sign-in; service-token.ts serves it.
        return app && app.kind !== 'service' ? clientMetadata(app) : undefined
      },
      findByUid: async (uid) => {
        for (const [key, record] of records) if (record.model === model && record.payload.uid === uid) return read(key)
        return undefined
      },
      findByUserCode: async () => undefined,
      upsert: async (id, payload, expiresIn) => {
        const expiresAt = expiresIn !== undefined ? deps.clock.now() + expiresIn * 1000 : Number.POSITIVE_INFINITY
        records.set(keyOf(serverId, model, id), { model, payload, expiresAt })
      },
      consume: async (id) => {
        const payload = read(keyOf(serverId, model, id))
        // The leeway of a rotated token counts from its first use.
        if (payload) payload.consumed ??= Math.floor(deps.clock.now() / 1000)
      },
      destroy: async (id) => {
        records.delete(keyOf(serverId, model, id))
      },
      revokeByGrantId: async (grantId) => {
        for (const [key, record] of records) {
          if (record.model === model && record.payload.grantId === grantId) records.delete(key)
        }
      },
    }),
    session: (id) => read(keyOf('', 'Session', id)),
    endSession: (id) => void records.delete(keyOf('', 'Session', id)),
    endPerson(personId, tokens) {
      for (const [key, record] of records) {
        const theirs = record.payload.accountId === personId
        if (theirs && (record.model === 'Session' || tokens)) records.delete(key)
      }
    },
    clear: () => records.clear(),
  }
}

export function rotationOf(app: OrgApp | undefined): RefreshTokenRotation {
  return app?.refreshToken ?? (app?.kind === 'web' ? { rotation: 'STATIC' } : { rotation: 'ROTATE', leeway: 30 })
}

/** oidc-provider's own ID tokens are never shown (tokens.ts makes Okta's), so they use a key that is cheap to make. */
function clientMetadata(app: OrgApp): AdapterPayload {
  return {
    client_id: app.id,
    client_name: app.label,
    ...(app.secret !== undefined && { client_secret: app.secret }),
    token_endpoint_auth_method: app.secret === undefined ? 'none' : 'client_secret_basic',
    application_type: app.kind === 'native' ? 'native' : 'web',
    redirect_uris: [...app.redirectUris],
    // The device grant is ours (device.ts), and unknown to oidc-provider.
    grant_types: app.grantTypes.filter((type) => type === 'authorization_code' || type === 'refresh_token'),
    response_types: ['code'],
    id_token_signed_response_alg: 'ES256',
  }
}
