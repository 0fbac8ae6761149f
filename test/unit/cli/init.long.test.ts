/** `postern init`, as a program: its answers come by flags, from a pipe, and from a terminal. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { stepsAt } from '../../../cmd/postern/init/steps.ts'
import { main } from '../../support/built-program.ts'

const folders: string[] = []
function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'postern-init-'))
  folders.push(made)
  return made
}
afterAll(() => folders.forEach((each) => rmSync(each, { recursive: true })))

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

function run(cwd: string, args: readonly string[], input = ''): Ended {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    cwd,
    input,
    encoding: 'utf8',
    timeout: 20_000,
    env: { PATH: process.env['PATH'] },
  })
  return { code: status, out: stdout, err: stderr }
}

const FLAGS = [
  '--yes',
  '--provider-url=https://corp.okta.com',
  '--authenticate-url=https://authenticate.corp.example',
  '--app=https://wiki.corp.example=http://wiki:8080',
]
const OKTA = ['init', '--provider', 'okta', ...FLAGS]

/** What is left for the person. */
function paste(at: string, files: readonly string[]): void {
  const config = join(at, 'config.yaml')
  writeFileSync(
    config,
    readFileSync(config, 'utf8').replace('idp_client_id: ""', 'idp_client_id: 0oa1example0000000000'),
  )
  for (const file of files) writeFileSync(join(at, 'secrets', file), 'pasted-by-a-person-0123456789\n')
}

describe('postern init', () => {
  test('by flags: secrets that only the owner can read, and the addresses to register', () => {
    const at = folder()
    const { code, out, err } = run(at, OKTA)
    expect([code, err]).toEqual([
      0,
      'Written: config.yaml, secrets/shared-secret, secrets/client-secret, secrets/okta-api-token\n',
    ])
    expect(out).toContain('https://corp-admin.okta.com')
    expect(out).toMatch(/Sign-in redirect URIs +https:\/\/authenticate\.corp\.example\/oauth2\/callback\n/)
    expect(out).toMatch(/Sign-out redirect URIs +https:\/\/authenticate\.corp\.example\/\.postern\/signed_out\n/)
    expect(readdirSync(join(at, 'secrets')).toSorted()).toEqual(['client-secret', 'okta-api-token', 'shared-secret'])
    for (const file of readdirSync(join(at, 'secrets'))) {
      expect(statSync(join(at, 'secrets', file)).mode & 0o777).toBe(0o600)
    }
    expect(Buffer.from(readFileSync(join(at, 'secrets/shared-secret'), 'utf8'), 'base64')).toHaveLength(32)
    expect(out + err).not.toContain(readFileSync(join(at, 'secrets/shared-secret'), 'utf8').trim())
  })

  test('check complains of what is to be pasted, and of nothing once it is', () => {
    const at = folder()
    run(at, OKTA)
    const before = run(at, ['check', 'config.yaml'])
    expect(before.code).toBe(3)
    expect(before.err.match(/^config\.yaml:\d+:\d+ (\w+): (?!warning)/gm)?.map((line) => line.split(' ')[1])).toEqual([
      'idp_client_id:',
      'idp_client_secret_file:',
      'idp_service_account_file:',
    ])
    paste(at, ['client-secret', 'okta-api-token'])
    const after = run(at, ['check', 'config.yaml'])
    expect([after.code, after.err]).toEqual([0, ''])
    expect(after.out).toContain('config.yaml is valid: 1 route')
    // Its secrets are in other files: that everybody may read it is as it should be.
    expect(statSync(join(at, 'config.yaml')).mode & 0o004).toBe(0o004)
    expect(after.out).not.toContain('WARN')
  })

  test.each([
    ['keycloak', ['https://keycloak.corp.example/realms/corp'], 'Valid redirect URIs'],
    ['entra', ['https://login.microsoftonline.com/8a1c7b0e/v2.0'], 'Redirect URI, of the platform "Web"'],
    ['google', [], 'Authorized redirect URIs'],
    ['gitlab', [], 'Redirect URI (callback URL)'],
    ['oidc', ['https://login.corp.example'], 'Redirect URI (callback URL)'],
  ])('%s: a configuration that is valid once secrets are pasted, and its own clicks', (provider, url, label) => {
    const at = folder()
    const flags = ['--authenticate-url', 'auth.corp.example', '--app', 'wiki.corp.example=wiki:8080']
    const made = run(at, [
      'init',
      '-y',
      '--provider',
      provider,
      ...url.flatMap((each) => ['--provider-url', each]),
      ...flags,
    ])
    expect([made.code, made.out]).toEqual([0, expect.stringContaining(label)])
    expect(made.out).toContain('https://auth.corp.example/oauth2/callback')
    paste(at, ['client-secret'])
    const checked = run(at, ['check', 'config.yaml'])
    expect([checked.code, checked.err]).toEqual([0, ''])
  })

  test.each(['google', 'gitlab'])('with %s not everybody in the world is let in', (provider) => {
    const at = folder()
    run(at, ['init', '--provider', provider, ...FLAGS.filter((flag) => !/okta|provider-url/.test(flag))])
    expect(readFileSync(join(at, 'config.yaml'), 'utf8')).toMatch(/^ +allowed_domains: \[corp\.example\]$/m)
  })

  test('answers from a pipe; one that is not understood is asked again', () => {
    const at = folder()
    const answers = [
      '',
      'corp-admin.okta.com',
      'https://authenticate.corp.example/path',
      'authenticate.corp.example',
      '',
    ]
    const { code, err } = run(at, ['init'], `${answers.join('\n')}\n`)
    expect(code).toBe(0)
    expect(err).toContain('expected an address without a path, such as https://authenticate.corp.example\n')
    const config = readFileSync(join(at, 'config.yaml'), 'utf8')
    expect(config).toContain('idp_provider_url: https://corp.okta.com\n')
    expect(config).toContain('from: https://app.corp.example\n    to: http://localhost:3000\n')
  })

  test('an address that cannot go with those before it is asked again', () => {
    const at = folder()
    const answers = [
      'okta',
      'corp',
      'corp.okta.com',
      'http://authenticate.localhost:8080',
      'wiki.localhost=wiki:8080',
      'http://authenticate.localhost:8080=http://wiki:8080',
      'http://wiki.localhost:8080=http://wiki:8080',
    ]
    const { code, err } = run(at, ['init'], `${answers.join('\n')}\n`)
    expect(err).toContain('expected a URL such as https://corp.okta.com\n')
    expect(err).toContain('expected http://wiki.localhost: people come to all hosts as to the sign-in service\n')
    expect(err).toContain('expected a host of its own: authenticate.localhost is that of the sign-in service\n')
    expect(code).toBe(0)
    expect(readFileSync(join(at, 'config.yaml'), 'utf8')).toContain('from: http://wiki.localhost:8080\n')
  })

  test('answers that end too early write nothing', () => {
    const at = folder()
    const { code, err } = run(at, ['init'], 'okta\n')
    expect([code, err]).toEqual([
      2,
      expect.stringContaining('postern: the input ended before the answer to: Its address'),
    ])
    expect(readdirSync(at)).toEqual([])
  })

  const noTerminal = spawnSync('script', ['--version']).error && 'no script(1) here, of util-linux'
  test.skipIf(noTerminal)(
    'at a terminal: questions with their defaults; Ctrl-C ends it and writes nothing',
    async () => {
      const at = folder()
      const child = spawn('script', ['-qec', `${process.execPath} ${main} init`, '/dev/null'], { cwd: at })
      let seen = ''
      child.stdout.on('data', (chunk: Buffer) => (seen += chunk.toString()))
      const code = new Promise((resolve) => child.once('exit', resolve))
      await expect.poll(() => seen, { timeout: 20_000 }).toContain('Identity provider [okta]: ')
      child.stdin.write('keycloak\r')
      await expect.poll(() => seen).toContain('Its address (https://keycloak.corp.example/realms/your-realm): ')
      child.stdin.write('\u0003')
      expect(await code).toBe(2)
      expect(readdirSync(at)).toEqual([])
    },
  )

  test.each(['config.yaml', 'secrets/shared-secret', 'secrets/client-secret', 'secrets/okta-api-token'])(
    'never writes over %s, nor beside it',
    (file) => {
      const at = folder()
      mkdirSync(join(at, 'secrets'))
      writeFileSync(join(at, file), 'precious')
      const { code, err } = run(at, OKTA)
      expect([code, err]).toEqual([2, expect.stringContaining(`${file}: there already`)])
      expect(readFileSync(join(at, file), 'utf8')).toBe('precious')
      expect(readdirSync(at, { recursive: true, encoding: 'utf8' }).toSorted()).toEqual(
        [...new Set(['secrets', file])].toSorted(),
      )
    },
  )

  test.each([
    ['--provider is unknown', ['init', '--provider', 'github', ...FLAGS], 2, '--provider: expected one of okta'],
    ['a flag is missing', ['init', '--yes', '--provider', 'okta'], 2, '--provider-url is missing'],
    [
      '--app is one address',
      ['init', '--provider', 'okta', ...FLAGS, '--app', 'wiki'],
      2,
      '--app: expected two addresses',
    ],
    [
      'one host for two things',
      ['init', '--provider', 'okta', ...FLAGS, '--app', 'https://authenticate.corp.example=http://wiki'],
      2,
      'expected a host of its own',
    ],
  ])('what cannot work is said, and nothing is written: %s', (_what, args, exit, message) => {
    const at = folder()
    const { code, err } = run(at, args)
    expect([code, err]).toEqual([exit, expect.stringContaining(message)])
    expect(readdirSync(at)).toEqual([])
  })

  test('into another folder, which it makes', () => {
    const at = folder()
    const { code, out } = run(at, [...OKTA, '--dir', 'first/try'])
    expect([code, existsSync(join(at, 'first/try/secrets/client-secret'))]).toEqual([0, true])
    expect(out).toContain('  cd first/try\n')
  })
})

test('an org with a domain of its own has no console that we know the address of', () => {
  const uris = { redirect: '', signOut: '', backChannelLogout: '' }
  expect(stepsAt({ provider: 'okta', providerUrl: 'https://login.corp.example' }, uris)[0]).toBe(
    "Open your org's Admin Console, as an administrator",
  )
})
