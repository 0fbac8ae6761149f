/** Other proxies' configuration as ours: what is carried over, with comments, and a list of what is not. Pure. */
import { parseAllDocuments } from 'yaml'
import { AppError, assertNever, messageOf } from '../errors.ts'
import { foreignFormat, isEnvironment } from '../config/format.ts'
import { isTree } from '../config/input.ts'
import { type Draft, type Missing, type Options } from './draft.ts'
import { fromHelmValues, fromObjects } from './kubernetes.ts'
import { fromProxyOptions } from './oauth2-proxy.ts'
import { type ProxyInput, readAlpha, readCfg, readEnvironmentFile, readFlags } from './oauth2-proxy-input.ts'
import { fromPomerium } from './pomerium.ts'
import { writeYaml } from './write.ts'

export const FORMATS = [
  'pomerium',
  'pomerium-helm',
  'pomerium-kubernetes',
  'oauth2-proxy',
  'oauth2-proxy-flags',
  'oauth2-proxy-env',
  'oauth2-proxy-alpha',
] as const
export type Format = (typeof FORMATS)[number]

export interface Migration {
  readonly format: Format
  readonly yaml: string
  /** Everything of the input that is not in the output, routes' own with their place. */
  readonly missing: readonly Missing[]
}

/**
 * @param format as what to read the text; undefined: as what it looks like.
 * Throws ERR_USAGE when it looks like nothing that is known, or is not well-formed.
 */
export function migrate(text: string, format: Format | undefined, options: Options): Migration {
  const chosen = format ?? detect(text)
  if (chosen === undefined) {
    const looks = foreignFormat(text, undefined) ?? 'this looks like no configuration of Pomerium or oauth2-proxy'
    throw new AppError('ERR_USAGE', `${looks}; say which by --from ${FORMATS.join('|')}`)
  }
  const draft = read(text, chosen, options)
  const ofRoutes = draft.routes.flatMap(({ missing }) => missing)
  return { format: chosen, yaml: writeYaml(draft), missing: [...draft.missing, ...new Set(ofRoutes)] }
}

function read(text: string, format: Format, options: Options): Draft {
  switch (format) {
    case 'pomerium':
      return fromPomerium(onlyMap(text), options)
    case 'pomerium-helm':
      return fromHelmValues(onlyMap(text), options)
    case 'pomerium-kubernetes':
      return fromObjects(maps(text), options)
    case 'oauth2-proxy':
      return ofProxy(
        wellFormed(() => readCfg(text)),
        options,
      )
    case 'oauth2-proxy-flags':
      return ofProxy(readFlags(text), options)
    case 'oauth2-proxy-env':
      return ofProxy(readEnvironmentFile(text), options)
    case 'oauth2-proxy-alpha':
      return ofProxy(readAlpha(onlyMap(text)), options)
    default:
      return assertNever(format)
  }
}

function ofProxy({ options: given, upstreams, missing }: ProxyInput, options: Options): Draft {
  return fromProxyOptions(given, upstreams, options, missing)
}

function detect(text: string): Format | undefined {
  if (/^\s*(?:export\s+|-\s+)?OAUTH2_PROXY_[A-Z]/m.test(text)) return 'oauth2-proxy-env'
  const trees = quietly(() => maps(text)) ?? []
  if (trees.some((tree) => 'apiVersion' in tree && FLAG.test(text))) return 'oauth2-proxy-flags'
  if (trees.some(({ kind }) => kind === 'Pomerium' || kind === 'Ingress' || kind === 'List'))
    return 'pomerium-kubernetes'
  const [tree] = trees
  if (tree) {
    if (['upstreamConfig', 'providers', 'injectRequestHeaders'].some((key) => key in tree)) return 'oauth2-proxy-alpha'
    if (isTree(tree['config']) || isTree(tree['authenticate'])) return 'pomerium-helm'
    if (POMERIUM.some((key) => key in tree)) return 'pomerium'
  }
  if (FLAG.test(text)) return 'oauth2-proxy-flags'
  // Variables of Pomerium, which are well-formed TOML in quotes.
  if (isEnvironment(text)) return undefined
  return quietly(() => readCfg(text)) === undefined ? undefined : 'oauth2-proxy'
}

const FLAG = /--(?:upstream|email-domain|client-id|oidc-issuer-url|http-address|provider|cookie-secret)\b/
const POMERIUM = ['routes', 'policy', 'authenticate_service_url', 'idp_provider', 'idp_client_id', 'shared_secret']

/** The maps of a file of one or more YAML documents. */
function maps(text: string): readonly Readonly<Record<string, unknown>>[] {
  return wellFormed(() => {
    const documents = parseAllDocuments(text, { merge: true, logLevel: 'error' })
    return (Array.isArray(documents) ? documents : []).flatMap((document) => {
      if (document.errors[0]) throw document.errors[0]
      const value: unknown = document.toJS({ maxAliasCount: 100 })
      if (isTree(value)) return [value]
      // A file of routes alone, as POLICY_FILE named it.
      return Array.isArray(value) && value.some((route) => isTree(route) && 'from' in route) ? [{ routes: value }] : []
    })
  })
}

function onlyMap(text: string): Readonly<Record<string, unknown>> {
  const [only, ...others] = maps(text)
  if (!only) throw new AppError('ERR_USAGE', 'expected a map of keys')
  if (others.length > 0) throw new AppError('ERR_USAGE', 'expected one YAML document, found several; give each alone')
  return only
}

function wellFormed<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    // What follows a line break quotes the text, which may be a secret.
    throw new AppError('ERR_USAGE', `not well-formed: ${messageOf(error).split('\n')[0] ?? ''}`)
  }
}

function quietly<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch {
    return undefined
  }
}
