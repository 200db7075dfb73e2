/** A manual page of section 8 from a program's own `--help`. Source: man(7). */
export function manualPage({ command, about, version, epoch, help }) {
  const day = new Date(epoch * 1000).toISOString().slice(0, 10);
  return `.TH ${command.toUpperCase()} 8 "${day}" "fleet2ban ${version}" "System Administration"
.SH NAME
${command} \\- ${escaped(about)}
.SH DESCRIPTION
.nf
${help.trim().split("\n").map(escaped).join("\n")}
.fi
.SH SEE ALSO
/usr/share/doc/fleet2ban\\-*/install.md
`;
}

/** A line that begins with a dot or an apostrophe would be a command. */
function escaped(line) {
  const text = line.replaceAll("\\", "\\e").replaceAll("-", "\\-");
  return /^[.']/.test(text) ? `\\&${text}` : text;
}
