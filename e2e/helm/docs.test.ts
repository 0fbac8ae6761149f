/** docs/deploy.md: its files are checked by the programs that read them; its commands run as far as they can without a cluster. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { runCli } from '../../cmd/postern/cli.ts'
import { findTool, kubeVersion, needing, root } from './chart.ts'

const text = readFileSync(join(root, 'docs/deploy.md'), 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'postern-docs-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** The reader's folder: the checkout's files, and those that the page shows. */
symlinkSync(join(root, 'helm'), join(folder, 'helm'))
for (const [, name = '', content = ''] of text.matchAll(/^```yaml file=(\S+)\n(.*?)^```$/gms)) {
  mkdirSync(dirname(join(folder, name)), { recursive: true })
  writeFileSync(join(folder, name), content)
}
const commands = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block = '']) =>
  block
    .replaceAll(/\\\n\s*/g, '')
    .trim()
    .split('\n'),
)
const command = (start: string): string => commands.find((line) => line.startsWith(start)) ?? `the page has no ${start}`
const shell = (line: string): string =>
  execFileSync('bash', ['-c', line], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, PATH: `${dirname(findTool('helm') ?? '')}:${process.env['PATH']}` },
  })

/** `docker run [options] IMAGE args`: what Docker is told, and what the program is. */
function dockerRun(line: string): {
  readonly options: string
  readonly env: Record<string, string>
  readonly args: readonly string[]
} {
  const [options = '', args = ''] = line.split(/ postern:[\d.]+ ?/)
  const env = Object.fromEntries([...options.matchAll(/--env (\w+)=(\S+)/g)].map(([, name, value]) => [name, value]))
  return { options, env, args: args.split(' ').filter(Boolean) }
}

/** What the page's command writes into the file of this name. */
async function sharedSecret(): Promise<string> {
  const { args } = dockerRun(command('docker run --rm postern'))
  expect(args.slice(-2)).toEqual(['>', 'shared-secret'])
  const printed: string[] = []
  await runCli(args.slice(0, -2), { out: (line) => printed.push(line), err: (line) => printed.push(line), env: {} })
  return `${printed.join('\n')}\n`
}

describe('a plain container', () => {
  test('the configuration passes the check that the page shows', async () => {
    const { env, args } = dockerRun(command('docker run --rm --volume'))
    mkdirSync(join(folder, 'secrets'))
    for (const [name, value] of [
      ['shared-secret', await sharedSecret()],
      ['idp-client-secret', 'x'],
      ['okta-api-token', '00x'],
    ] as const)
      writeFileSync(join(folder, 'secrets', name), value)
    const here = (path: string): string =>
      path.replace('/run/secrets/postern', join(folder, 'secrets')).replace('/etc/postern', join(folder, 'config'))
    const printed: string[] = []
    const messages: string[] = []
    const exitCode = await runCli(args.map(here), {
      out: (line) => printed.push(line),
      err: (line) => messages.push(line),
      env: Object.fromEntries(Object.entries(env).map(([name, path]) => [name, here(path)])),
    })
    expect({ exitCode, messages }).toEqual({ exitCode: 0, messages: [] })
    expect(printed.join('\n')).toContain('https://authenticate.example.com/oauth2/callback')
  })

  test('docker run uses the same secrets and mounts, a read-only root and no capability', () => {
    const running = dockerRun(command('docker run --detach'))
    const checked = dockerRun(command('docker run --rm --volume'))
    expect(running.env).toEqual(checked.env)
    for (const option of [
      '--read-only',
      '--tmpfs /tmp',
      '--cap-drop ALL',
      '--volume postern-data:/var/lib/postern',
      '--volume ./config:/etc/postern:ro',
    ])
      expect(running.options).toContain(option)
  })

  test('is tagged with the version of the program', () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    expect(new Set(commands.flatMap((line) => line.match(/postern:[\d.]+/g) ?? []))).toEqual(
      new Set([`postern:${version}`]),
    )
  })
})

describe.skipIf(findTool('helm') === undefined)(needing('helm', 'Kubernetes'), () => {
  test('the values pass the lint and render', () => {
    expect(shell(command('helm lint'))).toContain('0 chart(s) failed')
    expect(shell(command('helm template'))).toContain('image: registry.example.com/postern:')
  })

  test('the install command names objects that the other commands ask for', () => {
    const rendered = shell(
      command('helm upgrade').replace('helm upgrade --install', `helm template --kube-version ${kubeVersion}`),
    )
    expect(rendered).toMatch(/kind: Deployment\nmetadata:\n {2}name: postern\n {2}namespace: postern\n/)
    expect(rendered).toContain('secretName: postern\n')
    for (const key of command('kubectl --namespace postern create secret').matchAll(/--from-file=(\S+)/g))
      expect(rendered).toContain(`key: ${key[1]}`)
    expect(rendered).toContain('name: postern-metrics\n')
  })
})

test('every file and value that the page names exists', () => {
  for (const [, link = ''] of text.matchAll(/\]\(([^)#]+)/g))
    expect(() => readFileSync(join(root, 'docs', link)), link).not.toThrow()
  const values = readFileSync(join(root, 'helm/postern/values.yaml'), 'utf8')
  for (const [, path = ''] of text.matchAll(
    /`((?:ingress|metrics|secrets|tls|service|persistence|httpRoute)\.[a-zA-Z.]+)/g,
  ))
    for (const part of path.split('.')) expect(values, path).toMatch(new RegExp(`\\b${part}:`))
})
