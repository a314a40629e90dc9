# What the module and its sample use of Zephyr's CMake. The checker gives MODULE, the module's folder, and SUPPORT, a list
# of files that start the program.
enable_language(C)
file(STRINGS ${CMAKE_SOURCE_DIR}/prj.conf stub_settings)
foreach(stub_setting ${stub_settings})
  if(stub_setting MATCHES "^(CONFIG_[A-Z0-9_]+)=(.+)$")
    set(${CMAKE_MATCH_1} ${CMAKE_MATCH_2})
  endif()
endforeach()
# Of the board.
set(CONFIG_CPU_CORTEX_M4 y)
set(CONFIG_FP_HARDABI y)

add_executable(app ${SUPPORT})
target_include_directories(app PRIVATE ${CMAKE_CURRENT_LIST_DIR}/include)

function(zephyr_include_directories)
  target_include_directories(app PRIVATE ${ARGN})
endfunction()

function(zephyr_library_import name path)
  if(NOT EXISTS ${path})
    message(FATAL_ERROR "${path} is not there")
  endif()
  target_link_libraries(app PRIVATE ${path})
endfunction()

add_subdirectory(${MODULE}/zephyr module)
