/** What a sign-in tells where no directory is read: groups in a claim, and an address that may not be verified. */
import { afterEach, describe, expect, test } from 'vitest'
import { createTestWorld, type World } from '../support/world.ts'

const APP = 'http://app.localhost'
const LOGIN = 'alice@example.com'

let world: World
afterEach(() => world.close())

async function worldWith(
  config: Readonly<Record<string, unknown>>,
  route: Readonly<Record<string, unknown>>,
): Promise<void> {
  world = await createTestWorld({
    // The parameters of a sign-in are looked at.
    config: { idp_service_account: undefined, idp_pushed_requests: false, ...config },
    routes: [{ from: APP, ...route }],
  })
}

describe('groups without a directory', () => {
  test('are asked for with the scope `groups`, when rules need them and the provider has it', async () => {
    await worldWith({}, { policy: { allow: { or: [{ 'claim/groups': 'Engineering' }] } } })
    expect((await world.signIn(world.browser(), APP, LOGIN)).status).toBe(200)
  })

  test('are not asked for when no rule needs them, nor beside scopes that somebody wrote', async () => {
    await worldWith({}, { allow_any_authenticated_user: true })
    const scopes = async (): Promise<string> => {
      const browser = world.browser()
      const begun = await browser.ask((await browser.ask(APP)).headers.location ?? '')
      return new URL(begun.headers.location ?? '').searchParams.get('scope') ?? ''
    }
    expect(await scopes()).not.toContain('groups')
    world.reload({ routes: [{ from: APP, to: world.upstreamUrl, allowed_groups: ['Engineering'] }] })
    expect(await scopes()).toContain('groups')
    await world.restart({ idp_scopes: ['openid', 'email'] })
    expect(await scopes()).toBe('openid email')
  })

  test('that the sign-in does not tell are a 403 that says so, and what helps', async () => {
    await worldWith(
      { idp_scopes: ['openid', 'email', 'profile'] },
      { policy: [{ allow: { or: [{ authenticated_user: true }] } }, { deny: { or: [{ groups: 'Leavers' }] } }] },
    )
    const answer = await world.signIn(world.browser(), APP, LOGIN)
    expect(answer.status).toBe(403)
    expect(answer.headers['retry-after']).toBeUndefined()
    expect(answer.body).toContain('Your sign-in did not say which groups you are in.')
    expect(answer.body).toContain('Sign out and sign in again.')
    expect(answer.body).toContain('<code>ERR_GROUPS_CLAIM_ABSENT</code>')
    expect(answer.body).toContain('href="/.postern/sign_out?return_to=')
    expect(
      world.log().find(({ reasons }) => Array.isArray(reasons) && reasons.includes('groups-claim-absent')),
    ).toMatchObject({
      status: 403,
      reasons: ['groups-claim-absent'],
      error: 'ERR_GROUPS_CLAIM_ABSENT',
    })
    const told = world.log().find(({ groups_claim: claim }) => claim !== undefined)
    expect(told).toMatchObject({ level: 'warn', groups_claim: 'groups' })
    expect(told?.['claims']).toContain('email_verified')
    expect(world.received).toHaveLength(0)
  })

  test('are none with `groups_claim_absent: none`, so that a deny does not block whom it does not name', async () => {
    await worldWith(
      { idp_scopes: ['openid', 'email'], groups_claim_absent: 'none' },
      { policy: [{ allow: { or: [{ authenticated_user: true }] } }, { deny: { or: [{ groups: 'Leavers' }] } }] },
    )
    expect((await world.signIn(world.browser(), APP, LOGIN)).status).toBe(200)
  })
})

describe('an e-mail address that the provider calls unverified', () => {
  const unverified = { login: 'una@example.com', email: 'una@example.com', emailVerified: false } as const

  test('is refused, on the page and in the log', async () => {
    await worldWith({}, { allowed_domains: ['example.com'] })
    world.okta.addUser(unverified)
    const answer = await world.signIn(world.browser(), APP, unverified.login)
    expect(answer.status).toBe(403)
    expect(answer.body).toContain('Your identity provider says that your e-mail address is not verified')
    expect(answer.body).not.toContain('not on the list')
    expect(world.log().find(({ decision }) => decision === 'deny')).toMatchObject({
      reasons: ['email-unverified', 'domain-unauthorized'],
    })
    expect(world.logText()).toContain('idp_allow_unverified_email')
  })

  test('counts with `idp_allow_unverified_email`', async () => {
    await worldWith({ idp_allow_unverified_email: true }, { allowed_domains: ['example.com'] })
    world.okta.addUser(unverified)
    expect((await world.signIn(world.browser(), APP, unverified.login)).status).toBe(200)
  })
})
