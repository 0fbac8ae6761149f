import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { formatIssue } from '../../src/config/issues.ts'
import { parseConfig } from '../../src/config/load.ts'
import { messageOf } from '../../src/errors.ts'
import { FORMATS, migrate } from '../../src/migrate/migrate.ts'

/**
 * test/golden/migrate/*.txt: a configuration of another proxy, a line of dashes, what it is as ours, a line of dashes,
 * what is not carried over and what Postern says about the result. A first line `#from FORMAT` names the format,
 * `#authenticate URL` is --authenticate-url.
 * `GOLDEN=update npx vitest run test/golden` writes all but the input anew, to be read before it is committed.
 */
const folder = new URL('./migrate/', import.meta.url)
const DASHES = '----------\n'
/** What a deployment gives beside the file. */
const secrets = {
  SHARED_SECRET: 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
  IDP_CLIENT_ID: '0oa1',
  IDP_CLIENT_SECRET: 'client-secret-of-the-environment',
}

describe('golden migrations', () => {
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.txt'))) {
    test(name.replace('.txt', '').replaceAll('-', ' '), () => {
      const file = new URL(name, folder)
      const whole = readFileSync(file, 'utf8')
      const [text = '', ...expected] = whole.split(DASHES)
      const actual = answer(text)
      if (process.env.GOLDEN === 'update') writeFileSync(file, text + DASHES + actual)
      else expect(actual).toBe(expected.join(DASHES))
    })
  }
})

function answer(whole: string): string {
  const [, from] = /^#from (\S+)\n/m.exec(whole) ?? []
  const [, authenticateUrl] = /^#authenticate (\S+)\n/m.exec(whole) ?? []
  const text = whole.replace(/^#(?:from|authenticate) \S+\n/gm, '')
  try {
    const { format, yaml, missing } = migrate(
      text,
      FORMATS.find((each) => each === from),
      authenticateUrl === undefined ? {} : { authenticateUrl },
    )
    const loaded = parseConfig(yaml, 'config.yaml', secrets, (path) => {
      // Files that the input names: a certificate, a client secret.
      if (path.endsWith('secret')) return 'client-secret-of-a-file'
      throw Object.assign(new Error('not there'), { code: 'ENOENT' })
    })
    const issues = loaded.kind === 'ok' ? loaded.warnings : loaded.issues
    const notes = missing.map(({ kind, key, message }) => `${kind} ${key}: ${message}`)
    return yaml + DASHES + [`${format}, ${loaded.kind}`, ...notes, ...issues.map(formatIssue)].join('\n') + '\n'
  } catch (error) {
    return `${messageOf(error)}\n`
  }
}
