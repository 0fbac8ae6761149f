import { cookieNames } from '../../../src/config/cookie-names.ts'
import { formatPath, formatSource } from '../../../src/config/issues.ts'
import { globalKeys } from '../../../src/config/keys.ts'
import type { Setting } from '../../../src/config/load.ts'
import { ERRORS } from '../../../src/errors.ts'
import type { Config } from '../../../src/config/model.ts'
import { readConfiguration } from '../configuration.ts'
import type { Io } from '../io.ts'
import { printable } from '../text.ts'

export interface ConfigPrintOptions {
  /** undefined: the environment alone. */
  readonly file: string | undefined
  /** Also what nobody wrote. */
  readonly defaults: boolean
  readonly json: boolean
}

/** Prints each value in force and who said so; secrets never. Exit code 0, or 3 (not valid). */
export async function configPrintCommand({ file, defaults, json }: ConfigPrintOptions, io: Io): Promise<number> {
  const loaded = await readConfiguration(file, io)
  if (!loaded) return ERRORS.ERR_CONFIG_INVALID.exit
  const settings = effective(loaded.settings(), loaded.config)
  const shown = settings.filter(({ source }) => defaults || source.kind !== 'default').map(redacted)
  if (json) io.out(JSON.stringify(shown.map(toJson), undefined, 2))
  else for (const setting of shown) io.out(toLine(setting))
  return 0
}

/** Other names of the same thing: a default of which the other name is written is not in force. */
const OTHER_NAMES: ReadonlyMap<string, string> = new Map([
  ['directory.refresh_interval', 'idp_refresh_directory_interval'],
  ['directory.okta.timeout', 'idp_refresh_directory_timeout'],
  ['storage.type', 'databroker_storage_type'],
  ['storage.path', 'databroker_storage_connection_string'],
])

/** With the defaults that follow from other values. */
function effective(settings: readonly Setting[], config: Config): readonly Setting[] {
  const {
    listen,
    idps: [idp],
    authenticateServiceUrl,
  } = config.fixed
  const { directory } = idp
  const scheme = authenticateServiceUrl.protocol === 'http:' ? 'http' : 'https'
  const derived: ReadonlyMap<string, unknown> = new Map<string, unknown>([
    ['address', `${listen.host.includes(':') ? `[${listen.host}]` : listen.host}:${listen.port}`],
    ['cookie_name', cookieNames(config.live, scheme).session],
    ['idp_provider_url', idp.issuer],
    ['idp_scopes', idp.scopes],
    ...(idp.clientAuth.kind === 'elsewhere' ? [] : ([['idp_client_auth', idp.clientAuth.kind]] as const)),
    ...('url' in directory ? ([['directory.okta.url', directory.url.origin]] as const) : []),
  ])
  const written = new Set(
    settings.filter(({ source }) => source.kind !== 'default').map(({ path }) => formatPath(path)),
  )
  return settings.flatMap((setting) => {
    const name = formatPath(setting.path)
    if (setting.source.kind !== 'default') return setting
    return written.has(OTHER_NAMES.get(name) ?? '') ? [] : { ...setting, value: derived.get(name) ?? setting.value }
  })
}

/** Headers for an upstream are where its passwords stand. Secrets of the schema redact themselves. */
function redacted(setting: Setting): Setting {
  const { path, value } = setting
  if (path.at(-1) !== 'set_request_headers' || typeof value !== 'object' || value === null) return setting
  return { ...setting, value: Object.fromEntries(Object.keys(value).map((name) => [name, '[secret]'])) }
}

const restartKeys = new Set(globalKeys.filter(({ restart }) => restart).map((key) => formatPath(key.path)))

/** Is a change of it read by the next process only? */
function needsRestart(path: Setting['path']): boolean {
  return path.some((_, i) => restartKeys.has(formatPath(path.slice(0, i + 1))))
}

function toLine({ path, value, source }: Setting): string {
  const said = `${formatSource(source) || 'default'}${needsRestart(path) ? ', needs a restart' : ''}`
  return printable(`${formatPath(path)}: ${JSON.stringify(value ?? null)}  # ${said}`)
}

function toJson({ path, value, source }: Setting): object {
  const { kind } = source
  return {
    path: formatPath(path),
    value: value ?? null,
    needs_restart: needsRestart(path),
    source: kind === 'file' ? { kind, file: source.file, ...source.at } : source,
  }
}
