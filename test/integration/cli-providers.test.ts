/** What the command line says of several identity providers, two Okta orgs with equal ids among them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import { cli } from '../support/cli.ts'
import { AUTH, createTwoOrgs, type TwoOrgs } from '../support/two-orgs.ts'
import { SHARED_SECRET } from '../support/world.ts'

let folder = ''
let world: TwoOrgs
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postern-cli-providers-'))
  world = await createTwoOrgs()
})
afterAll(async () => {
  await world.close()
  rmSync(folder, { recursive: true })
})

function config(changes: Readonly<Record<string, unknown>> = {}): string {
  const path = join(folder, 'config.yaml')
  const client = { client_id: DEMO.clientId, client_secret: DEMO.clientSecret }
  const settings = {
    authenticate_service_url: AUTH,
    shared_secret: SHARED_SECRET,
    idp_provider_url: world.okta.url,
    idp_client_id: DEMO.clientId,
    idp_client_secret: DEMO.clientSecret,
    idp_service_account: DEMO.apiToken,
    identity_providers: {
      partners: {
        provider: 'okta',
        label: 'Partners',
        url: world.partners.url,
        ...client,
        directory: { okta: { api_token: DEMO.apiToken } },
      },
    },
    storage: { type: 'memory' },
    routes: [
      { from: 'http://app.localhost', to: world.upstreamUrl, allowed_groups: ['Engineering'] },
      {
        from: 'http://partners.localhost',
        to: world.upstreamUrl,
        identity_provider: 'partners',
        allow_any_authenticated_user: true,
      },
    ],
    ...changes,
  }
  writeFileSync(path, stringify(settings), { mode: 0o600 })
  return path
}

test('check --online asks each of them, and prints what to register with each', async () => {
  const { exitCode, out, err } = await cli(['check', '--online', config()])
  expect([exitCode, err]).toEqual([0, ''])
  for (const { url } of [world.okta, world.partners]) {
    expect(out).toContain(`Register with ${url} for client ${DEMO.clientId}:`)
    expect(out).toContain(`OK    identity provider ${url}: discovery answers with this issuer`)
    expect(out).toContain(`OK    service account at ${url}: the token belongs to service@example.com`)
  }
  expect(out).toMatch(new RegExp(`^ +Sign-in redirect URI +${AUTH}/oauth2/callback$`, 'm'))
  expect(out).toMatch(new RegExp(`^ +Sign-in redirect URI +${AUTH}/oauth2/callback/partners$`, 'm'))
  expect(out.match(/: the provider accepts its id and secret/g)).toHaveLength(2)
  expect(out.match(/OK {4}redirect URI .*: the provider knows it/g)).toHaveLength(2)
  const json = JSON.parse((await cli(['check', '--json', config()])).out) as { providers: unknown }
  expect(json.providers).toMatchObject([
    { name: 'default', issuer: world.okta.url, redirect_uri: `${AUTH}/oauth2/callback`, groups: 'okta' },
    { name: 'partners', issuer: world.partners.url, redirect_uri: `${AUTH}/oauth2/callback/partners` },
  ])
})

test('check --online fails for the one whose client is wrong, and names it', async () => {
  const partners = { provider: 'okta', url: world.partners.url, client_id: '0oa0000000000000000x' }
  const { exitCode, out } = await cli(['check', '--online', config({ identity_providers: { partners } })])
  expect(exitCode).toBe(4)
  expect(out).toContain('FAIL  client 0oa0000000000000000x: the provider knows no such client')
  expect(out).not.toContain(`FAIL  client ${DEMO.clientId}`)
})

test('explain judges somebody of the provider that is named', async () => {
  const at = (url: string, ...more: readonly string[]) =>
    cli(['explain', '--config', config(), '--url', url, '--email', 'ann@example.com', ...more])
  expect((await at('http://partners.localhost/')).out).toContain(
    'Decision  sign-in (user-unauthenticated, other-identity-provider)',
  )
  expect((await at('http://partners.localhost/', '--provider', 'partners')).out).toContain('Decision  allow')
  const wrong = await at('http://partners.localhost/', '--provider', 'partner')
  expect(wrong).toMatchObject({ exitCode: 2 })
  expect(wrong.err).toContain('--provider: expected one of default, partners, found partner')
})

test('groups show --live asks the org of the provider that is named: equal ids are two people', async () => {
  const show = (...more: readonly string[]) =>
    cli(['groups', 'show', DEMO.people.alice, '--live', '--json', '--config', config(), ...more])
  const groupsOf = (text: string) => (JSON.parse(text) as { groups: { name: string }[] }).groups.map(({ name }) => name)
  expect(groupsOf((await show()).out)).toContain('Engineering')
  expect(groupsOf((await show('--provider', 'partners')).out)).toEqual(['Everyone'])
})
