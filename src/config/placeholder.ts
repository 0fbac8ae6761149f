/** Why a text cannot be the real thing; undefined: it can. Never quotes it. */
export function describePlaceholder(text: string): string | undefined {
  const bare = text.trim().replaceAll(/^["'“”]+|["'“”]+$/g, '')
  if (/^\$(?:\{.*\}|\(.*\)|[A-Za-z_]\w*)$|^\{\{.*\}\}$/s.test(bare)) {
    return 'Postern does not expand variables; give the value in the environment, or in a file by the key that ends in _file'
  }
  if (/^(?:(["']).*\1|\S+)[ \t]+#/.test(text.trim())) {
    return 'there is a comment behind the value, which env files do not remove; write the value alone'
  }
  return isPlaceholder(bare) ? 'this is the placeholder of an example; expected the real value' : undefined
}

/** Nobody's base64 begins so. */
export function looksLikePath(text: string): boolean {
  return /^\/(?:app|certs?|config|etc|home|mnt|opt|pomerium|postern|root|run|secrets?|srv|tmp|usr|var|vault)\/[^\s]*$/.test(
    text.trim(),
  )
}

/** What stands in examples until somebody writes the real thing. */
export function isPlaceholder(text: string): boolean {
  return /^(?:<.*>|(?:replace|change|insert|fill)[- ]?(?:me|this|with|in|it)\b.*|insert[- ].*[- ]here|your[- ].*|x{4,}|\*{1,2}|\*{3}.*|\.{3}|…|todo|fixme|tbd|redacted)$/is.test(
    text.trim().replaceAll('_', '-'),
  )
}

/** The part of a URL that stands in examples. Fewer than `isPlaceholder` knows: `todo` may be the name of a host. */
export function placeholderInUrl(url: string): string | undefined {
  return /(?<=[/.])(?:(?:replace|change)[-_]?(?:me|this)|your[-_]?(?:org|domain|tenant|okta\w*))(?=[/.:]|$)/i.exec(
    url,
  )?.[0]
}
