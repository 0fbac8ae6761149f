import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cli } from '../../support/cli.ts'

const SECRET = 'client-secret-of-the-file'
const CFG = `provider = "oidc"
oidc_issuer_url = "https://idp.corp.example"
client_id = "proxy"
client_secret = "${SECRET}"
cookie_secret = "never-of-use-and-never-printed"
redirect_url = "https://app.corp.example/oauth2/callback"
email_domains = ["corp.example"]
allowed_groups = ["Engineering"]
upstreams = ["http://127.0.0.1:8080/"]
`

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-migrate-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

function file(text: string): string {
  const path = join(folder, 'input')
  writeFileSync(path, text)
  return path
}

describe('postern config migrate', () => {
  test('writes a new file that only the owner reads, and never over one that is there', async () => {
    const output = join(folder, 'made.yaml')
    const args = ['config', 'migrate', '--authenticate-url', 'https://sign-in.corp.example', file(CFG), '-o', output]
    const made = await cli(args)
    expect([made.exitCode, made.out]).toEqual([0, ''])
    expect(readFileSync(output, 'utf8')).toContain('allowed_groups')
    expect(statSync(output).mode & 0o777).toBe(0o600)
    writeFileSync(output, 'precious')
    const again = await cli(args)
    expect([again.exitCode, again.err]).toEqual([2, expect.stringContaining(`${output}: there already`)])
    expect(readFileSync(output, 'utf8')).toBe('precious')
  })

  test('prints a configuration that check takes and that decides as the input', async () => {
    const migrated = await cli(['config', 'migrate', '--authenticate-url', 'https://sign-in.corp.example', file(CFG)])
    expect(migrated.exitCode).toBe(0)
    const config = join(folder, 'config.yaml')
    writeFileSync(config, migrated.out)
    const env = { SHARED_SECRET: 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=' }
    expect((await cli(['check', config], { env })).exitCode).toBe(0)
    const asks = async (email: string, groups: string): Promise<number> => {
      const args = ['explain', '--config', config, '--url', 'https://app.corp.example/', '--exit-code']
      return (await cli([...args, '--user', '1', '--email', email, '--groups', groups], { env })).exitCode
    }
    expect(await asks('a@corp.example', 'Engineering')).toBe(0)
    expect(await asks('a@corp.example', 'Sales')).toBe(10)
    expect(await asks('a@other.example', 'Engineering')).toBe(10)
  })

  test('lists on stderr what is not carried over, and no value of it', async () => {
    const { out, err } = await cli(['config', 'migrate', file(`${CFG}htpasswd_file = "/never-printed"\n`)])
    expect(err).toContain('htpasswd_file: a file of passwords signs nobody in')
    expect(err).toContain('--authenticate-url')
    expect(err).not.toContain(SECRET)
    expect(out + err).not.toContain('never-')
    expect(out).toContain(SECRET)
  })

  test.each([
    [['--from', 'caddy'], /--from: expected one of pomerium/],
    [['--authenticate-url', 'sign-in'], /--authenticate-url: expected a URL/],
  ])('refuses %j', async (args, message) => {
    const { exitCode, out, err } = await cli(['config', 'migrate', ...args, file(CFG)])
    expect([exitCode, out]).toEqual([2, ''])
    expect(err).toMatch(message)
  })

  test('says that a file is not there', async () => {
    const { exitCode, err } = await cli(['config', 'migrate', '/nowhere.cfg'])
    expect(exitCode).toBe(2)
    expect(err).toContain('cannot read /nowhere.cfg: no such file')
  })

  test.each(['__proto__: {}\nroutes: []\n', 'routes: &a [*a]\n', 'routes: [null, 1, [], {from: 1}]\n', 'routes: {}\n'])(
    '%j is answered, and pollutes nothing',
    async (text) => {
      const { exitCode } = await cli(['config', 'migrate', '--from', 'pomerium', file(text)])
      expect([0, 2]).toContain(exitCode)
      expect(({} as Record<string, unknown>)['from']).toBeUndefined()
    },
  )
})
