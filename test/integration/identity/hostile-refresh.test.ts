/** What a provider may answer to a refresh. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AppError } from '../../../src/errors.ts'
import type { Refreshable } from '../../../src/types.ts'
import { type Answer, CLIENT_ID, json, type Misbehaviour } from './hostile-idp.ts'
import { client, closeIdp, idp, signal, start, without } from './hostile-client.ts'

afterEach(closeIdp)

describe('refresh', () => {
  let kept: string[]
  beforeEach(() => {
    kept = []
  })
  const keep = async (token: string) => void kept.push(token)
  const unwanted = () => expect.unreachable()
  const current = (): Refreshable => ({
    identity: { issuer: idp.issuer, subject: '00u-alice', claims: { iss: idp.issuer, sub: '00u-alice' } },
    idToken: 'the-first-id-token',
    refreshToken: 'old',
  })
  const withoutIdToken: Misbehaviour = { token: without('id_token') }

  test.each<readonly [string, Answer, string]>([
    ['429 worded as invalid_grant', (_req, res) => json(res, { error: 'invalid_grant' }, 429), 'ERR_IDP_UNREACHABLE'],
    ['a server error', (_req, res) => json(res, { error: 'invalid_grant' }, 500), 'ERR_IDP_UNREACHABLE'],
    ['a set-up error', (_req, res) => json(res, { error: 'invalid_client' }, 401), 'ERR_IDP_CLIENT'],
    ['HTML', (_req, res) => void res.writeHead(200).end('<p>'), 'ERR_IDP_REJECTED'],
    ['no answer', (_req, res) => void res.destroy(), 'ERR_IDP_UNREACHABLE'],
    ['unsupported_grant_type', (_req, res) => json(res, { error: 'unsupported_grant_type' }, 400), 'ERR_IDP_REJECTED'],
  ])('%s does not end a session', async (_name, answer, code) => {
    await start({ answers: { token: answer } })
    await expect(client().refresh(current(), signal, unwanted)).rejects.toMatchObject({ code })
  })

  test.each(['invalid_grant', 'access_denied'])('%s ends the session', async (error) => {
    await start({ answers: { token: (_req, res) => json(res, { error }, 400) } })
    expect(await client().refresh(current(), signal, unwanted)).toEqual({ outcome: 'refused' })
  })

  test.each<readonly [string, Misbehaviour]>([
    ['another subject', { claims: { sub: '00u-bob' } }],
    ['another issuer', { claims: { iss: 'https://evil.test' } }],
    ['another audience', { claims: { aud: 'somebody-else' } }],
    ['another authorized party', { claims: { aud: [CLIENT_ID, 'other'], azp: 'other' } }],
    ['another subject at userinfo', { userinfo: { sub: '00u-bob' } }],
    ['another subject at userinfo, and no ID token', { ...withoutIdToken, userinfo: { sub: '00u-bob' } }],
  ])('%s ends it as well', async (_name, wrong) => {
    await start(wrong)
    expect(await client().refresh(current(), signal, keep)).toEqual({ outcome: 'mismatch' })
  })

  test('without an ID token userinfo says who it is; what it does not tell is unknown from then on', async () => {
    await start({ ...withoutIdToken, userinfo: { sub: '00u-alice', email: 'alice@corp.example', groups: ['Staff'] } })
    const { identity } = current()
    const before = { ...identity, claims: { ...identity.claims, department: 'R&D', auth_time: 7, acr: 'loa1' } }
    const refreshed = await client().refresh({ ...current(), identity: before }, signal, keep)
    expect(refreshed).toMatchObject({
      outcome: 'renewed',
      identity: { issuer: idp.issuer, subject: '00u-alice', email: 'alice@corp.example' },
      tokens: { idToken: 'the-first-id-token', refreshToken: 'rt' },
    })
    const { claims } = (refreshed as Extract<typeof refreshed, { outcome: 'renewed' }>).identity
    expect(claims).toEqual({
      iss: idp.issuer,
      sub: '00u-alice',
      email: 'alice@corp.example',
      groups: ['Staff'],
      auth_time: 7,
      acr: 'loa1',
    })
  })

  test('without an ID token and without userinfo nothing is new but the tokens', async () => {
    await start({
      token: without('id_token', 'refresh_token'),
      metadata: without('userinfo_endpoint'),
    })
    expect(await client().refresh(current(), signal, unwanted)).toMatchObject({
      outcome: 'renewed',
      identity: current().identity,
      tokens: { idToken: 'the-first-id-token', refreshToken: 'old' },
    })
  })

  test('claims are those of the refresh, but what was said of the sign-in stays', async () => {
    await start({
      claims: { department: 'Sales', auth_time: 99, acr: 'loa3', amr: ['mfa'] },
      userinfo: { sub: '00u-alice' },
    })
    const { identity } = current()
    const before = {
      ...identity,
      claims: { ...identity.claims, department: 'R&D', auth_time: 7, acr: 'loa1', amr: ['pwd'] },
    }
    expect(await client().refresh({ ...current(), identity: before }, signal, keep)).toMatchObject({
      identity: { claims: { department: 'Sales', auth_time: 7, acr: 'loa1', amr: ['pwd'] } },
    })
  })

  test('a refresh does not say how somebody signed in, where the sign-in did not', async () => {
    await start({ claims: { auth_time: Math.floor(Date.now() / 1000), acr: 'loa3', amr: ['mfa'], sid: 's' } })
    const refreshed = await client().refresh(current(), signal, keep)
    const { claims } = (refreshed as Extract<typeof refreshed, { outcome: 'renewed' }>).identity
    expect(claims).toMatchObject({ department: 'R&D' })
    for (const name of ['auth_time', 'acr', 'amr', 'sid']) expect(claims).not.toHaveProperty(name)
  })

  test('a new refresh token is kept before the rest of the answer is looked at, whatever is wrong with it', async () => {
    await start({ signature: 'stranger', token: (answer) => ({ ...answer, refresh_token: 'rotated' }) })
    await expect(client().refresh(current(), signal, keep)).rejects.toMatchObject({ code: 'ERR_IDP_REJECTED' })
    expect(kept).toEqual(['rotated'])
    expect(idp.callsTo('/userinfo')).toBe(0)
    const fault = new AppError('ERR_STORE_UNAVAILABLE', 'store: disk')
    await expect(client().refresh(current(), signal, () => Promise.reject(fault))).rejects.toBe(fault)
  })
})
