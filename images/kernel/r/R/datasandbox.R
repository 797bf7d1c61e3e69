# The data sandbox in R: library(datasandbox)
#
# ds_info()                            which data you have, how it is accessed, days left
# ds_sql("SELECT ... FROM flights")    a data.frame
# ds_load("flights", columns, limit)
# ds_check(files)                      what would keep these files from leaving
# ds_export(files, title, context)
#
# R has no UNIX sockets and Debian no Arrow for R, so each call is one run of the Python client (`datasandbox.rbridge`): it asks the
# door, has the query recorded and reads the data as it does for Python, and writes the answer to its standard output, which is read here.

ds_sql <- function(sql) .table(list(verb = "sql", sql = .text(sql)))

ds_load <- function(name, columns = NULL, limit = NULL) {
  request <- list(verb = "load", name = .text(name))
  if (!is.null(columns)) request$columns <- I(as.character(columns))
  if (!is.null(limit)) request$limit <- as.integer(limit)
  .table(request)
}

ds_info <- function() structure(.value(list(verb = "info")), class = "ds_info")

ds_check <- function(files) structure(.value(list(verb = "check", files = I(as.character(files)))), class = "ds_report")

ds_export <- function(files, title, context) {
  request <- list(verb = "export", files = I(as.character(files)), title = .text(title), context = .text(context))
  structure(.value(request), class = "ds_report")
}

print.ds_info <- function(x, ...) cat(x$shown, sep = "\n")
print.ds_report <- function(x, ...) cat(x$shown, sep = "\n")

#' Run IRkernel on the connection file of the command line; the supervisor calls this.
.kernel <- function() {
  # what R code could set is set before any of it runs; a query's answer is shown as R shows tables
  options(bitmapType = "cairo", jupyter.rich_display = TRUE, device = "png")
  suppressPackageStartupMessages(attachNamespace("datasandbox"))
  IRkernel::main()
}

.text <- function(value) {
  if (!is.character(value) || length(value) != 1L || is.na(value)) stop("one text is needed", call. = FALSE)
  enc2utf8(value)
}

.value <- function(request) .run(request, function(head, con) head$value)

.table <- function(request) .run(request, function(head, con) {
  columns <- lapply(seq_along(head$columns), function(i) .column(head$columns[[i]], head$rows, con))
  names(columns) <- vapply(head$columns, function(column) column$name, "")
  structure(columns, class = "data.frame", row.names = .set_row_names(head$rows))
})

.run <- function(request, read) {
  asked <- tempfile("ds-", fileext = ".json")
  on.exit(unlink(asked))
  writeLines(enc2utf8(as.character(toJSON(request, auto_unbox = TRUE, null = "null"))), asked, useBytes = TRUE)
  con <- pipe(paste("/opt/venv/bin/python -I -m datasandbox.rbridge", shQuote(asked)), "rb")
  on.exit(close(con), add = TRUE)
  size <- readBin(con, "integer", 1L, size = 4L, endian = "little")
  if (length(size) == 0L) .stop("door_unavailable", "no answer came from the sandbox service [door_unavailable]")
  text <- rawToChar(readBin(con, "raw", size))
  Encoding(text) <- "UTF-8"
  head <- fromJSON(text, simplifyDataFrame = FALSE, simplifyMatrix = FALSE)
  if (!is.null(head$error)) .stop(head$error$code, head$error$message)
  read(head, con)
}

.stop <- function(code, message) {
  stop(structure(class = c("SandboxError", "error", "condition"), list(message = message, call = NULL, code = code)))
}

# One column: numbers as they lie in memory, text as codes into its distinct values.
.column <- function(about, rows, con) {
  whole <- function(n) .all(readBin(con, "integer", n, size = 4L, endian = "little"), n)
  real <- function(n) .all(readBin(con, "double", n, size = 8L, endian = "little"), n)
  switch(about$type,
    logical = as.logical(whole(rows)),
    integer = whole(rows),
    double = real(rows),
    POSIXct = as.POSIXct(real(rows), origin = "1970-01-01", tz = about$tz),
    Date = structure(real(rows), class = "Date"),
    difftime = as.difftime(real(rows), units = "secs"),
    character = {
      levels <- .all(readBin(con, "character", about$levels), about$levels)
      Encoding(levels) <- "UTF-8"
      levels[whole(rows)]
    },
    .stop("bridge_type", paste("unknown type of column", about$name)))
}

.all <- function(values, n) {
  if (length(values) != n) .stop("bridge_short", "the answer ended early; was the call interrupted, or is memory full?")
  values
}
