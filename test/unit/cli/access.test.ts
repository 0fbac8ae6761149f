import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLogger as logger } from '../../../src/lib/log.ts'
import { openLmdbStore } from '../../../src/store/lmdb.ts'
import { cli, type Ran } from '../../support/cli.ts'
import { manualClock } from '../../support/clock.ts'

let folder = ''
let config = ''
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postern-access-'))
  config = join(folder, 'config.yaml')
  const store = openLmdbStore({ path: join(folder, 'store'), clock: manualClock(), logger })
  await store.close()
  writeFileSync(
    config,
    `authenticate_service_url: https://authenticate.corp.example
idp_provider: oidc
idp_provider_url: https://idp.corp.example
idp_client_id: proxy
shared_secret: MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=
insecure_server: true
storage: {path: ${join(folder, 'store')}}
directory:
  static:
    users:
      - {id: ann, groups: [Engineering]}
      - {id: "=cmd()", groups: [Engineering, "On, Call"]}
      - {id: gone, status: inactive, groups: [Engineering]}
      - {id: sam, groups: [Sales]}
routes:
  - {name: wiki, from: https://wiki.corp.example, to: http://wiki, allowed_groups: [Engineering]}
  - name: pager
    from: https://pager.corp.example
    to: http://pager
    policy: {allow: {and: [{groups: "On, Call"}, {http_method: GET}]}}
  - {name: home, from: https://home.corp.example, to: http://home, allow_any_authenticated_user: true}
`,
  )
})
afterAll(() => rmSync(folder, { recursive: true }))

const access = (...args: string[]): Promise<Ran> => cli(['access', '--config', config, ...args])

describe('postern access', () => {
  test('counts people for each route', async () => {
    const { exitCode, out, err } = await access()
    expect([exitCode, err]).toEqual([0, '4 people whose groups are known, 3 routes'])
    expect(out.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['ROUTE', 'YES', 'CONDITIONS', 'UNKNOWN', 'POLICY'],
      ['wiki', '2', '0', '0', 'allow or(groups has "Engineering")'],
      ['pager', '0', '1', '0', expect.stringContaining('allow and(groups has "On, Call", http_method')],
      ['home', '3', '0', '0', 'everybody who is signed in'],
    ])
  })

  test('--user says by which rules', async () => {
    const { out } = await access('--user', 'ann')
    expect(
      out
        .split('\n')
        .slice(1)
        .map((line) => line.split(/ {2,}/)),
    ).toEqual([
      ['ann', 'wiki', 'yes', 'groups has "Engineering"'],
      ['ann', 'home', 'yes', 'everybody who is signed in'],
    ])
  })

  test('--format csv quotes, and is no formula', async () => {
    const { out } = await access('--route', 'pager', '--format', 'csv')
    expect(out.split('\n')).toEqual([
      'person,subject,route,access,by',
      expect.stringMatching(/^'=cmd\(\),'=cmd\(\),pager,conditions,"groups has ""On, Call"" and /),
    ])
  })

  test('--format json is one object a line', async () => {
    const { out } = await access('--route', 'wiki', '--format', 'json')
    expect(
      out
        .split('\n')
        .map((line) => (JSON.parse(line) as { person: string }).person)
        .toSorted(),
    ).toEqual(['=cmd()', 'ann'])
  })

  test('--format html is one page', async () => {
    const { out } = await access('--format', 'html')
    expect(out).toMatch(/^<!doctype html>/)
    expect(out).toContain('3 routes')
  })

  test('service tokens are among those who can open something: as far as they are for it', async () => {
    const file = join(folder, 'programs.yaml')
    const takes = `
  - {name: packages, from: https://packages.corp.example, to: http://packages, allowed_groups: [Deployers], service_tokens: true}
  - {name: docs, from: https://docs.corp.example, to: http://docs, allow_any_authenticated_user: true, service_tokens: true}
  - {name: people, from: https://people.corp.example, to: http://people, allowed_domains: [corp.example], service_tokens: true}
`
    writeFileSync(file, readFileSync(config, 'utf8').trimEnd() + takes)
    const make = async (...args: string[]) => {
      const { err } = await cli(['tokens', 'create', file, ...args])
      return /token (\w+)/.exec(err)?.[1] ?? ''
    }
    const wide = await make('--name', 'ci', '--group', 'Deployers')
    const narrow = await make('--name', 'ci', '--group', 'Deployers', '--route', 'docs', '--method', 'GET')
    const { out, err } = await cli(['access', '--config', file, '--format', 'json'])
    expect(err).toBe('4 people whose groups are known, 2 service tokens, 6 routes')
    const found = new Set(
      out
        .split('\n')
        .map((line) => JSON.parse(line) as { person: string; route: string; access: string })
        .filter(({ person }) => person.startsWith('service:'))
        .map(({ person, route, access: kind }) => `${person} ${route} ${kind}`),
    )
    expect(found).toEqual(
      new Set([
        `service:ci (${narrow}) docs conditions`,
        `service:ci (${wide}) packages yes`,
        `service:ci (${wide}) docs yes`,
      ]),
    )
    for (const token of [wide, narrow]) await cli(['tokens', 'revoke', token, '--config', file])
  })

  test.each([
    [['--route', 'nowhere'], 1, 'no route is called "nowhere"'],
    [['--user', 'nobody'], 1, 'nothing is known of "nobody"'],
    [['--format', 'pdf'], 2, '--format: expected one of table, csv, json, html, found "pdf"'],
  ])('%j exits with %i', async (args, code, message) => {
    const { exitCode, out, err } = await access(...args)
    expect([exitCode, out]).toEqual([code, ''])
    expect(err).toContain(message)
  })
})
