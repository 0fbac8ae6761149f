/** Every fenced block of the documents is what it says: configuration that starts, commands that exist, data that parse. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import { parse, parseDocument } from 'yaml'
import { createProgram } from '../cmd/postern/cli.ts'
import { globalKeys, routeKeys } from '../src/config/keys.ts'
import { formatIssue, parseConfig } from '../src/config/load.ts'
import { createAuthorities } from './support/authority.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (file: string): string => readFileSync(join(root, file), 'utf8')
const documents = ['README.md', 'SECURITY.md', 'CONTRIBUTING.md', 'helm/postern/README.md', 'docs', 'examples'].flatMap(
  (path) =>
    path.endsWith('.md')
      ? [path]
      : readdirSync(join(root, path), { recursive: true, encoding: 'utf8' })
          .filter((file) => file.endsWith('.md') && !file.includes('node_modules'))
          .map((file) => join(path, file)),
)

interface Block {
  readonly at: string
  readonly language: string
  /** `file=values.yaml`: another test writes this file and uses it. */
  readonly info: string
  readonly text: string
}

const blocks: readonly Block[] = documents.flatMap((file) => {
  const text = read(file)
  return [...text.matchAll(/^( *)```(\w*) *(.*)\n([^]*?)^ *```$/gm)].map(
    ({ index, 1: indent = '', 2: language = '', 3: info = '', 4: body = '' }) => ({
      at: `${file}:${text.slice(0, index).split('\n').length}`,
      language,
      info,
      text: body.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
    }),
  )
})
const ofLanguage = (...languages: string[]): readonly Block[] =>
  blocks.filter(({ language }) => languages.includes(language))

test('each block is of a language that is looked at', () => {
  const known = new Set([
    '',
    'sh',
    'yaml',
    'json',
    'text',
    'js',
    'ts',
    'python',
    'go',
    'java',
    'nginx',
    'ini',
    'http',
    'toml',
    'sql',
  ])
  expect(blocks.length).toBeGreaterThan(50)
  expect(blocks.filter(({ language }) => !known.has(language)).map(({ at }) => at)).toEqual([])
  // What stands in no language is a picture or a listing, not something to type.
  const commands = ofLanguage('').filter(({ text }) =>
    /^(?:\$ )?(?:postern|npm|npx|curl|kubectl|helm|docker) \w/m.test(text),
  )
  expect(commands.map(({ at }) => at)).toEqual([])
})

test('each file of the repository that is named exists', () => {
  const named = documents.flatMap((file) =>
    [...read(file).matchAll(/`((?:test|e2e|src|cmd|scripts|examples|helm|docs|bench|packaging)\/[\w./-]+\.\w+)`/g)].map(
      ([, path = '']) => ({ file, path }),
    ),
  )
  expect(named.length).toBeGreaterThan(60)
  expect(named.filter(({ path }) => !existsSync(join(root, path)))).toEqual([])
})

test('the index names each page', () => {
  const pages = readdirSync(join(root, 'docs')).filter((file) => file.endsWith('.md') && file !== 'README.md')
  const index = read('docs/README.md')
  expect(pages.length).toBeGreaterThan(25)
  expect(pages.filter((file) => !index.includes(`(${file})`))).toEqual([])
})

test('each link between documents leads to a file, and to a heading of it', () => {
  const links = documents.flatMap((file) =>
    [
      ...read(file)
        .replaceAll(/```[^]*?```/g, '')
        .matchAll(/\]\((?!https?:|mailto:|data:)([^)#]*)(?:#([^)]*))?\)/g),
    ].map(([, path = '', heading]) => ({ file, path: path === '' ? file : join(dirname(file), path), heading })),
  )
  expect(links.length).toBeGreaterThan(150)
  expect(links.filter(({ path }) => !existsSync(join(root, path)))).toEqual([])
  const anchors = (path: string): readonly string[] =>
    [...read(path).matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
      title
        .toLowerCase()
        .replaceAll(/[^\w -]/g, '')
        .replaceAll(' ', '-'),
    )
  const withHeading = links.filter(({ path, heading }) => heading && path.endsWith('.md'))
  expect(withHeading.filter(({ path, heading }) => !anchors(path).includes(heading ?? ''))).toEqual([])
})

describe('yaml', () => {
  const globals = new Set(globalKeys.map(({ path }) => path[0] ?? ''))
  const ofRoutes = new Set(routeKeys.map(({ path }) => path[0] ?? ''))
  const SECRET = 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY='
  const base = {
    authenticate_service_url: 'https://authenticate.base.example',
    shared_secret: SECRET,
    idp_provider: 'okta',
    idp_provider_url: 'https://base.okta.com',
    idp_client_id: '0oa1base',
    idp_client_secret: 'the-client-secret',
    idp_service_account: '00the-token',
    insecure_server: true,
  }
  const authorities = createAuthorities()
  const authority = authorities.root('Snippets')
  const own = authority.issue('app.base.example', { usage: 'serverAuth', names: ['DNS:*.base.example'] })
  const revoked = authority.revoke([own])
  authorities.remove()
  const route = { from: 'https://app.base.example', to: 'http://app:8080', allowed_groups: ['Engineering'] }

  /** A fragment as a whole configuration; undefined: it is of something else. */
  function whole(value: unknown): Record<string, unknown> | undefined {
    if (Array.isArray(value)) {
      const first: unknown = value[0]
      if (typeof first !== 'object' || first === null) return undefined
      if ('from' in first) return { ...base, routes: value as unknown }
      return 'allow' in first || 'deny' in first
        ? { ...base, routes: [{ ...route, allowed_groups: undefined, policy: value as unknown }] }
        : undefined
    }
    if (typeof value !== 'object' || value === null) return undefined
    const keys = Object.keys(value)
    if (keys.every((key) => globals.has(key) && key !== 'policy')) {
      const given = value as Record<string, unknown>
      // What stands in a file of its own is not also here.
      const rest = Object.entries(base).filter(
        ([key]) =>
          !Object.hasOwn(given, `${key}_file`) &&
          // One source of groups is enough, and that of Okta is for Okta.
          !(key === 'idp_service_account' && ('directory' in given || (given['idp_provider'] ?? 'okta') !== 'okta')),
      )
      const needsTls = ['certificate_file', 'autocert', 'downstream_mtls'].some((key) => Object.hasOwn(given, key))
      const filtered = rest.filter(([key]) => !(needsTls && key === 'insecure_server'))
      const tls = needsTls && !Object.hasOwn(given, 'certificate_file') && !Object.hasOwn(given, 'autocert')
      return {
        ...Object.fromEntries(filtered),
        ...(tls ? { certificate_file: '/tls.crt', certificate_key_file: '/tls.key' } : {}),
        routes: [route],
        ...given,
      }
    }
    if (keys.every((key) => ofRoutes.has(key))) {
      const rules = keys.some((key) => key.startsWith('allow') || key === 'policy')
      return { ...base, routes: [{ ...route, ...(rules ? { allowed_groups: undefined } : {}), ...value }] }
    }
    return undefined
  }

  const cases = ofLanguage('yaml').filter(({ info }) => !info.startsWith('file='))

  test.each(cases.map((block) => [block.at, block] as const))('%s', (_, { text, info }) => {
    const documentsOf = parseDocument(text, { uniqueKeys: true })
    expect(documentsOf.errors).toEqual([])
    const config = whole(documentsOf.toJS())
    // Something else: values of the chart, objects of Kubernetes, a test of policies, another program's file.
    if (config === undefined) return expect(info, 'say what it is: ```yaml of=chart').toMatch(/^of=[\w-]+$/)
    const loaded = parseConfig(JSON.stringify(config), 'config.yaml', {}, (path) => stand(path))
    const issues = loaded.kind === 'ok' ? [] : loaded.issues.filter(({ severity }) => severity !== 'warning')
    expect(issues.map(formatIssue)).toEqual([])
    return undefined
  })

  /** What stands in a file that a snippet names. */
  function stand(path: string): string {
    if (/shared/.test(path)) return SECRET
    if (path.endsWith('.crl')) return revoked
    if (/ca\.(?:crt|pem)$/.test(path)) return authority.cert
    if (/\.(?:crt|pem)$/.test(path)) return own.cert
    if (path.endsWith('.key')) return own.key
    if (/url/.test(path))
      return path.includes('postgres') ? 'postgres://u:p@db/postern?sslmode=verify-full' : 'rediss://redis:6379'
    return '00some-secret-of-a-fair-length'
  }
})

describe('json', () => {
  test.each(ofLanguage('json').map(({ at, text }) => [at, text]))('%s', (_, text = '') => {
    for (const line of text.includes('\n{') ? text.trim().split('\n') : [text])
      expect(() => JSON.parse(line) as unknown).not.toThrow()
  })
})

describe('sh', () => {
  const program = createProgram({ out: () => {}, err: () => {} }, () => {})
  const { scripts } = parse(read('package.json')) as { scripts: Readonly<Record<string, string>> }
  /** Programs of others: their own manuals say what they take. */
  const others = new Set(
    (
      'cat cd cp curl docker export git helm kubectl mkdir nc npx openssl pip podman psql redis-cli rsync sleep ssh sudo ' +
      'systemctl systemd-analyze grep tar wscat buildah cosign jq python3 go mvn java man source chmod chown install umask mv rm kill tee fish bash zsh echo test ln pg_dump pg_restore journalctl valkey-cli'
    ).split(' '),
  )

  /** Simple commands of a script: without comments, variables before them, redirections and the words after `--`. */
  function commands(text: string): readonly (readonly string[])[] {
    return text
      .replaceAll(/\\\n\s*/g, ' ')
      .split('\n')
      .map((line) => line.replace(/(?:^|\s+)#.*$/, '').replaceAll(/\s\d?>{1,2} ?\S+/g, ''))
      .flatMap((line) => line.split(/\s*(?:&&|\|\||\||;|&$)\s*/))
      .map((line) => line.match(/'[^']*'|"(?:[^"\\]|\\.)*"|[^\s'"]+(?:'[^']*'|"[^"]*"|[^\s'"])*/g) ?? [])
      .map((words) => words.slice(words.findIndex((word) => !/^[A-Z_]+=/.test(word))))
      .filter((words) => words.length > 0)
  }

  function judge(words: readonly string[]): string | undefined {
    const [name = '', ...rest] = words
    if (name === 'postern') return judgePostern(rest)
    if (name === 'node' && rest[0]?.endsWith('postern/main.js')) return judgePostern(rest.slice(1))
    if (name === 'npx' && rest[0] === 'postern') return judgePostern(rest.slice(1))
    if (name === 'npm') {
      const [verb = '', script = ''] = rest
      if (['ci', 'start', 'test', 'install', 'pack', 'prefix'].includes(verb)) return undefined
      return verb === 'run' && script in scripts ? undefined : `no such npm script: ${verb} ${script}`
    }
    if (name === 'docker' || name === 'podman') {
      const image = rest.findIndex((word) => word.startsWith('postern:'))
      return rest[0] === 'run' && image >= 0 && image < rest.length - 1
        ? judgePostern(rest.slice(image + 1))
        : undefined
    }
    if (/^(?:\.\/)?(?:scripts|\.ci|examples)\//.test(name))
      return existsSync(join(root, name)) ? undefined : `${name} does not exist`
    if (name === 'node') return existsSync(join(root, rest[0] ?? '')) ? undefined : `${rest[0]} does not exist`
    return others.has(name) ? undefined : `unknown program ${name}`
  }

  function judgePostern(words: readonly string[]): string | undefined {
    let command: Command = program
    let index = 0
    for (; index < words.length; index++) {
      const next = command.commands.find((each) => each.name() === words[index])
      if (next === undefined) break
      command = next
    }
    if (command === program) return words[0]?.startsWith('-') ? undefined : `no command postern ${words[0] ?? ''}`
    if (command.commands.length > 0 && words[index] !== undefined && !words[index]?.startsWith('-'))
      return `no command ${command.name()} ${words[index]}`
    let positional = 0
    for (; index < words.length; index++) {
      const word = words[index] ?? ''
      // What follows the address of `curl` is curl's.
      if (word === '--' || (command.name() === 'curl' && positional > 0)) return undefined
      if (word.startsWith('-') && word !== '-') {
        const [flag = ''] = word.split('=')
        const option = command.options.find(({ long, short }) => long === flag || short === flag)
        if (option === undefined) {
          if (['--help', '-h'].includes(flag)) continue
          return `postern ${command.name()} has no ${flag}`
        }
        if ((option.required || option.optional) && !word.includes('=')) index++
      } else positional++
    }
    const takes = command.registeredArguments
    if (positional < takes.filter(({ required }) => required).length)
      return `postern ${command.name()} needs more arguments`
    if (!takes.some(({ variadic }) => variadic) && positional > takes.length)
      return `postern ${command.name()} takes fewer arguments`
    return undefined
  }

  test('a wrong command would be noticed', () => {
    expect(commands('A=1 postern chek --x | cat # no\npostern check \\\n  --onlin')).toEqual([
      ['postern', 'chek', '--x'],
      ['cat'],
      ['postern', 'check', '--onlin'],
    ])
    for (const words of [
      'postern chek',
      'postern check --onlin',
      'postern check a b',
      'postern sessions lst',
      'npm run no',
      'frobnicate',
    ])
      expect(judge(words.split(' ')), words).toBeDefined()
    expect(judge('postern check --online config.yaml'.split(' '))).toBeUndefined()
  })

  test.each(ofLanguage('sh').map(({ at, text }) => [at, text]))('%s', (_, text = '') => {
    const wrong = commands(text).flatMap((words) => judge(words) ?? [])
    expect(wrong).toEqual([])
  })

  // In a sentence arguments may be left out.
  test('what a sentence, a message or a description names exists, too', () => {
    const sources = ['src', 'cmd', 'helm/postern'].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter((file) => /\.(?:tsx?|ya?ml|txt)$/.test(file))
        .map((file) => join(folder, file)),
    )
    const named = [...documents, 'config.example.yaml', ...sources].flatMap((file) =>
      [
        ...read(file)
          .replaceAll('\\`', '`')
          .matchAll(/`(postern (?!help)[a-z][^`\n|]*)`/g),
      ].map(([, text = '']) => ({
        file,
        text,
      })),
    )
    expect(named.length).toBeGreaterThan(60)
    const wrong = named.flatMap(({ file, text }) =>
      commands(text).flatMap((words) => {
        const found = judge(words)
        return found === undefined || found.endsWith('arguments') ? [] : `${file}: ${text}: ${found}`
      }),
    )
    expect(wrong).toEqual([])
  })
})
